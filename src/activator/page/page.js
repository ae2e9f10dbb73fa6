(() => {
  "use strict";
  const labels = { complete: "complete", current: "in progress", pending: "pending" };
  const transient = ["starting", "suspending", "ready"];
  const find = (id) => document.getElementById(id);
  const root = document.documentElement;
  const loaded = Date.now();
  const initiallyTransient = transient.includes(root.dataset.state);

  const setText = (element, value) => {
    // Screen readers announce every change, so an equal text is not written again.
    if (value && element.textContent !== value) element.textContent = value;
  };

  const show = (problem) => {
    // Another replica may not have seen the start yet.
    if (initiallyTransient && problem.state === "suspended" && Date.now() - loaded < 8000) return;
    root.dataset.state = problem.state;
    setText(find("title"), problem.title);
    document.title = problem.title;
    setText(find("detail"), problem.detail);
    setText(find("open"), problem.action);
    find("command").hidden = !problem.command;
    setText(find("command").firstElementChild, problem.command);
    find("stages").hidden = !transient.includes(problem.state);
    let current = true;
    for (const stage of find("stages").children) {
      const complete = Boolean(problem.stages && problem.stages[stage.dataset.stage]);
      const status = complete ? "complete" : current ? "current" : "pending";
      if (!complete) current = false;
      stage.dataset.status = status;
      setText(stage.querySelector(".hidden"), ", " + labels[status]);
    }
  };

  const tick = () => {
    const seconds = Math.floor((Date.now() - loaded) / 1000);
    const minutes = Math.floor(seconds / 60);
    const time = minutes ? `${minutes} min ${seconds % 60} s` : `${seconds} s`;
    find("elapsed").textContent = transient.includes(root.dataset.state) ? `Waiting for ${time}` : "";
  };

  const open = () => {
    for (const stage of find("stages").children) stage.dataset.status = "complete";
    setText(find("detail"), "Ready. Opening the unit.");
    location.reload();
  };

  const poll = async () => {
    try {
      const headers = { accept: "application/problem+json", "x-computing-unit-page": "1" };
      const response = await fetch(location.href, { headers, cache: "no-store", redirect: "manual" });
      // Only the unit's own route sets this header. The activator never redirects a request of the page.
      if (response.headers.has("x-computing-unit") || response.type === "opaqueredirect") return open();
      const type = response.headers.get("content-type") || "";
      if (type.startsWith("application/problem+json")) show(await response.json());
    } catch {
      // The gateway is not reachable. The next poll retries.
    }
    const frequent = transient.includes(root.dataset.state) && !document.hidden;
    setTimeout(poll, frequent ? (Date.now() - loaded < 60000 ? 700 : 2000) : 5000);
  };

  setTimeout(poll, 400);
  setInterval(tick, 1000);
})();
