
(function () {
  "use strict";

  // Commands can be copied, where the browser lets a page do that.
  if (navigator.clipboard) {
    document.querySelectorAll("[data-copy]").forEach(function (code) {
      var button = document.createElement("button");
      button.type = "button";
      button.textContent = "Copy";
      button.addEventListener("click", function () {
        navigator.clipboard.writeText(code.textContent).then(function () {
          button.textContent = "Copied";
        });
      });
      code.after(button);
    });
  }

  var again = document.getElementById("again");
  if (!again) return;

  // 2 s, 4 s, 8 s ... 60 s. How often was tried is remembered over reloads of this address; an old
  // count belongs to an earlier failure. Without a memory every wait is the longest one, because
  // the page cannot know that it has not asked a hundred times already.
  var CAP = 60;
  var key = "goodgate.tries " + location.pathname + location.search;
  var tries = CAP;
  try {
    var kept = JSON.parse(sessionStorage.getItem(key)) || { tries: 0, at: 0 };
    tries = Date.now() - kept.at < 3 * CAP * 1000 ? kept.tries : 0;
    sessionStorage.setItem(key, JSON.stringify({ tries: tries + 1, at: Date.now() }));
  } catch (blocked) { /* as above */ }

  var wait = Math.min(CAP, Math.pow(2, tries + 1));
  // Visitors who failed together do not come back together.
  var left = wait * (0.8 + 0.2 * Math.random());
  var seconds = document.getElementById("seconds");
  var timer = null;

  function load() {
    clearInterval(timer);
    location.reload();
  }
  function show() {
    seconds.textContent = Math.max(1, Math.ceil(left));
  }
  function tick() {
    left -= 0.25;
    if (left <= 0) load();
    else show();
  }
  function follow() {
    clearInterval(timer);
    timer = document.hidden ? null : setInterval(tick, 250);
  }

  document.getElementById("now").addEventListener("click", load);
  document.addEventListener("visibilitychange", follow);
  again.hidden = false;
  show();
  follow();
})();
