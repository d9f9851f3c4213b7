"use strict";
// Times in the reader's zone, the live timeline, and forms that aren't lost while somebody types. Without this file
// every page and form still works; with it nothing is decided here, only shown.

(() => {
  const byId = (id) => document.getElementById(id);

  // --- times ---------------------------------------------------------------------------------------------------------

  const day = (date) => date.toLocaleDateString("sv");
  const today = () => day(new Date());

  function localTimes(root) {
    for (const one of root.querySelectorAll("time[datetime]:not([data-local])")) {
      const date = new Date(one.dateTime);
      if (Number.isNaN(date.getTime())) continue;
      one.title = one.dateTime + " (UTC)";
      const time = date.toLocaleTimeString("sv");
      one.textContent = day(date) === today() ? time : day(date) + " " + time;
      one.dataset.local = "";
    }
  }

  function zone() {
    const shown = byId("zone");
    if (shown) shown.textContent = Intl.DateTimeFormat().resolvedOptions().timeZone || "your zone";
  }

  function left(seconds) {
    if (seconds <= 0) return "the time is over";
    const hours = Math.floor(seconds / 3600), minutes = Math.floor((seconds % 3600) / 60), rest = Math.floor(seconds % 60);
    if (hours) return hours + " h " + minutes + " min left";
    return minutes ? minutes + " min " + rest + " s left" : rest + " s left";
  }

  setInterval(() => {
    for (const one of document.querySelectorAll("[data-until]")) {
      one.textContent = left(Number(one.dataset.until) - Date.now() / 1000);
    }
  }, 1000);

  // --- the live timeline ---------------------------------------------------------------------------------------------

  const RETRY = 2000; // milliseconds before a lost connection is tried again
  const NEWS = 3000; // milliseconds for which new entries are gathered before a screen reader is told of them
  let source = null;
  let retry = 0;

  function liveState(state, words) {
    const shown = byId("live-state");
    if (!shown) return;
    shown.dataset.state = state;
    shown.textContent = words;
  }

  function newest() {
    const first = document.querySelector("#timeline > [data-seq]");
    return first ? Number(first.dataset.seq) : 0;
  }

  let unheard = 0;

  function tell() {
    if (unheard++) return;
    setTimeout(() => {
      const news = byId("news");
      if (news) news.textContent = unheard === 1 ? "1 new entry in the timeline" : unheard + " new entries in the timeline";
      unheard = 0;
    }, NEWS);
  }

  function follow() {
    clearTimeout(retry);
    if (source) source.close();
    source = null;
    const live = byId("live");
    if (!live || !live.dataset.live || document.hidden) return;
    // What is shown already is where it goes on: nothing is lost or shown twice, whatever happened to the connection.
    const after = Math.max(newest(), Number(live.dataset.after));
    const current = source = new EventSource(live.dataset.live + "?after=" + after);
    source.onopen = () => liveState("live", "Live");
    source.addEventListener("entry", (event) => { add(event.data); refresh(); });
    source.onerror = () => {
      if (current !== source) return;
      liveState("lost", "Connection lost; trying again");
      current.close();
      clearTimeout(retry);
      retry = setTimeout(follow, RETRY);
      refresh();
    };
  }

  function add(html) {
    const list = byId("timeline");
    const holder = document.createElement("template");
    holder.innerHTML = html;
    const entry = holder.content.firstElementChild;
    if (!list || !entry || Number(entry.dataset.seq) <= newest()) return;
    const first = list.firstElementChild;
    // Of a row of looks alike only the first and the last are shown.
    if (first && "alike" in entry.dataset && "alike" in first.dataset) first.remove();
    entry.classList.add("new");
    list.prepend(entry);
    tell();
    localTimes(list);
    setTimeout(() => entry.classList.remove("new"), 4000);
  }

  // --- what stands now -----------------------------------------------------------------------------------------------

  const PARTS = ["now", "facts"];
  let asked = 0;

  function typing() {
    const decide = byId("decide");
    if (!decide) return false;
    if ([...decide.querySelectorAll("textarea")].some((one) => one.value.trim())) return true;
    return decide.contains(document.activeElement) && document.activeElement !== document.body;
  }

  function refresh() {
    clearTimeout(asked);
    asked = setTimeout(load, 250);
  }

  async function load(force) {
    const live = byId("live");
    if (!live) return;
    let page;
    try {
      const answer = await fetch(live.dataset.page, { headers: { "X-Part": "state" } });
      if (answer.redirected) {
        // The session has ended: asking again would lead to the form to sign in for ever.
        if (source) source.close();
        clearTimeout(retry);
        liveState("lost", "Signed out; load the page again");
        return;
      }
      if (!answer.ok) return;
      page = new DOMParser().parseFromString(await answer.text(), "text/html");
    } catch {
      return; // the timeline's own connection says that the service is away, and comes back here
    }
    for (const id of PARTS) put(id, page);
    document.title = page.title;
    const state = page.getElementById("live");
    if (state && !state.dataset.live) {
      delete live.dataset.live;
      if (source) source.close();
      liveState("over", "It has ended.");
    }
    const before = byId("decide"), after = page.getElementById("decide");
    if (!before || !after || (before.dataset.key === after.dataset.key && force !== true)) return;
    if (typing() && force !== true) {
      byId("changed").hidden = false;
    } else {
      put("decide", page);
    }
  }

  function put(id, page) {
    const before = byId(id), after = page.getElementById(id);
    if (!before || !after) return;
    const open = [...before.querySelectorAll("details")].map((one) => one.open);
    before.replaceWith(after);
    if (id === "facts") [...after.querySelectorAll("details")].forEach((one, at) => { if (at in open) one.open = open[at]; });
    localTimes(after);
    htmx.process(after);
  }

  // --- forms -----------------------------------------------------------------------------------------------------------

  function say(text) {
    const shown = byId("said");
    if (!shown) return;
    shown.hidden = false;
    shown.className = "said bad";
    shown.textContent = "✖ " + text;
    shown.scrollIntoView({ block: "nearest" });
  }

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-reload]")) load(true);
  });
  document.addEventListener("htmx:sendError", (event) => {
    if (event.detail.requestConfig.verb !== "get") say("The service can't be reached. Nothing is known to have been done; look again, then press again.");
  });
  document.addEventListener("htmx:responseError", (event) => {
    if (event.detail.requestConfig.verb === "get") return;
    const page = new DOMParser().parseFromString(event.detail.xhr.responseText, "text/html");
    const lead = page.querySelector(".lead");
    say(lead ? lead.textContent : "The service answers " + event.detail.xhr.status + ".");
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    localTimes(document);
    zone();
    if (event.detail.requestConfig.verb !== "get") {
      follow();
      window.scrollTo({ top: 0 });
    }
  });

  document.addEventListener("visibilitychange", () => {
    // A page that nobody sees holds no connection; shown again, it goes on where it was.
    if (!document.hidden) { refresh(); follow(); } else if (source) { source.close(); source = null; }
  });

  localTimes(document);
  zone();
  follow();
})();
