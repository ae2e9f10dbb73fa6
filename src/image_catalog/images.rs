//! The images of a catalog, parsed while the ConfigMap is read. Their number and size are limited, because a ConfigMap can
//! have a megabyte.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};

use super::entry::{Image, InvalidImage, parse};

/// The most images of a catalog.
pub const MAX_IMAGES: usize = 256;

/// The images by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Images {
    images: BTreeMap<String, Result<Image, InvalidImage>>,
    /// How many more there are. They are not used.
    left_out: usize,
}

impl Images {
    pub fn get(&self, name: &str) -> Option<&Result<Image, InvalidImage>> {
        self.images.get(name)
    }

    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.images.keys()
    }

    /// The images in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Result<Image, InvalidImage>)> {
        self.images.iter()
    }

    pub fn left_out(&self) -> usize {
        self.left_out
    }
}

impl<'de> Deserialize<'de> for Images {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_option(Data)
    }
}

/// `data` of a ConfigMap.
struct Data;

impl<'de> Visitor<'de> for Data {
    type Value = Images;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of strings")
    }

    fn visit_none<E>(self) -> Result<Images, E> {
        Ok(Images::default())
    }

    fn visit_unit<E>(self) -> Result<Images, E> {
        Ok(Images::default())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Images, D::Error> {
        deserializer.deserialize_map(self)
    }

    /// The API server sends the keys in alphabetical order, so that always the same ones are left out.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Images, A::Error> {
        let mut all = Images::default();
        while let Some((name, text)) = map.next_entry::<String, String>()? {
            if all.images.len() < MAX_IMAGES {
                let image = parse(&name, &text);
                all.images.insert(name, image);
            } else {
                all.left_out += 1;
            }
        }
        Ok(all)
    }
}
