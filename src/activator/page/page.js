(() => {
  "use strict";
  const words = { done: "done", now: "under way", next: "to come" };
  const waiting = ["starting", "suspending", "ready"];
  const find = (id) => document.getElementById(id);
  const root = document.documentElement;
  const begun = Date.now();
  const hopeful = waiting.includes(root.dataset.state);

  const text = (element, value) => {
    // A screen reader says what changes, so nothing is written twice.
    if (value && element.textContent !== value) element.textContent = value;
  };

  const show = (said) => {
    // Another process may not know yet that the start is under way.
    if (hopeful && said.state === "suspended" && Date.now() - begun < 8000) return;
    root.dataset.state = said.state;
    text(find("title"), said.title);
    document.title = said.title;
    text(find("say"), said.detail);
    text(find("open"), said.action);
    find("stages").hidden = !waiting.includes(said.state);
    let now = true;
    for (const stage of find("stages").children) {
      const done = Boolean(said.stages && said.stages[stage.dataset.stage]);
      const is = done ? "done" : now ? "now" : "next";
      if (!done) now = false;
      stage.dataset.is = is;
      text(stage.querySelector(".hidden"), ", " + words[is]);
    }
  };

  const open = () => {
    for (const stage of find("stages").children) stage.dataset.is = "done";
    text(find("say"), "Ready. Opening it now.");
    location.reload();
  };

  const look = async () => {
    try {
      const headers = { accept: "application/problem+json", "x-computing-unit-page": "1" };
      const answer = await fetch(location.href, { headers, cache: "no-store", redirect: "manual" });
      // Only the unit's own route says which unit it is; the entry never redirects this request.
      if (answer.headers.has("x-computing-unit") || answer.type === "opaqueredirect") return open();
      const type = answer.headers.get("content-type") || "";
      if (type.startsWith("application/problem+json")) show(await answer.json());
    } catch {
      // The gateway cannot be reached for a moment.
    }
    const quick = waiting.includes(root.dataset.state) && !document.hidden;
    setTimeout(look, quick ? (Date.now() - begun < 60000 ? 700 : 2000) : 5000);
  };

  setTimeout(look, 400);
})();
