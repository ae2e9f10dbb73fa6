#!/usr/bin/env python3
import os
import sys

os.execvp("jupyter", ["jupyter", "lab", *sys.argv[1:]])
