// Keys press the buttons that name them (aria-keyshortcuts); nothing here knows what a button does.
(() => {
  if (window.sjplanKeys) return;
  window.sjplanKeys = true;

  const typing = (at) =>
    at.isContentEditable || at.matches("input:not([type=button]):not([type=submit]), textarea, select");

  const shortcut = (event) => {
    let key = event.key === " " ? "Space" : event.key;
    // Other alphabets than Latin: the key's place stands for its letter.
    if (/^Key[A-Z]$/.test(event.code) && !/^[a-z]$/i.test(key)) key = event.code.slice(3);
    if (/^Digit\d$/.test(event.code) && !event.shiftKey) key = event.code.slice(5);
    if (/^[a-z]$/i.test(key)) key = key.toUpperCase();
    const shifted = event.shiftKey && (key.length > 1 || /^[A-Z]$/.test(key));
    return shifted ? `Shift+${key}` : key;
  };

  const button = (name) =>
    [...document.querySelectorAll("[aria-keyshortcuts]")].find(
      (one) => one.getAttribute("aria-keyshortcuts").split(" ").includes(name) && one.checkVisibility(),
    );

  document.addEventListener("keydown", (event) => {
    const at = event.target;
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing || event.defaultPrevented) return;
    if (document.querySelector("dialog[open]")) return;
    if (typing(at)) {
      if (event.key === "Escape") at.blur();
      return;
    }
    // On what Tab has reached, space and enter press that.
    if ((event.key === " " || event.key === "Enter") && at.matches("button, a, summary")) return;
    const one = button(shortcut(event));
    if (!one) return;
    event.preventDefault();
    if (event.repeat && !one.id.startsWith("arm_")) return;
    one.click();
  });

  // A button that the mouse has pressed does not keep the keyboard: space is a shot again.
  document.addEventListener("click", (event) => {
    const one = event.target.closest?.("button");
    if (event.detail > 0 && one?.closest("#page_operate")) one.blur();
  });
})();

// A number that is being typed stays: the page is drawn anew at every answer, and would write the old one over it.
(() => {
  if (window.sjplanTyped) return;
  window.sjplanTyped = true;

  const own = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value");
  const held = {
    configurable: true,
    get() {
      return own.get.call(this);
    },
    set() {},
  };
  document.addEventListener("input", ({ target }) => {
    if (target.matches("input[type=number]")) Object.defineProperty(target, "value", held);
  });
  // Said, or left: from now on the page's own number counts again.
  for (const end of ["change", "blur"]) document.addEventListener(end, ({ target }) => delete target.value, true);
})();

// A lost connection is said in words, and come back from; what was done stands on the server.
(() => {
  if (window.sjplanLost) return;
  window.sjplanLost = true;

  const AGAIN_MS = 1500;
  const BEAT_MS = 5000;
  const PATIENCE_MS = 8000;
  const LEAVING_MS = 15000;
  const KEPT = "Everything that was done is in the history, once. ";
  let lost = null;
  let leaving = false;
  let missed = 0;
  let taken = 0;
  let waiting = 0;

  // "free" or "taken" by a page, "over" for a visit that is gone, "" for no answer.
  const asked = async () => {
    try {
      const answer = await fetch("alive", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
      return answer.ok ? await answer.text() : "over";
    } catch {
      return "";
    }
  };

  const say = (text, label, go) => {
    lost.querySelector("p").textContent = text;
    const one = lost.querySelector("button");
    one.textContent = label;
    one.onclick = go;
  };

  const show = () => {
    lost = document.createElement("dialog");
    lost.id = "lost";
    lost.setAttribute("role", "alertdialog");
    lost.setAttribute("aria-label", "Connection lost");
    lost.style.cssText =
      "background:#2b2415;color:#e8ebee;border:2px solid #e69f00;border-radius:8px;padding:16px 20px;max-width:34rem;" +
      "font:16px/1.5 system-ui,'DejaVu Sans',sans-serif";
    lost.innerHTML = "<strong>The connection to sjplan is lost</strong><p></p><button type=button></button>";
    lost.querySelector("button").style.cssText =
      "font:inherit;padding:4px 12px;background:#0b5f9e;color:#fff;border:1px solid #2d8fd6;border-radius:4px";
    lost.addEventListener("cancel", (event) => event.preventDefault());
    document.body.append(lost);
    lost.showModal();
  };

  const back = async () => {
    const found = await asked();
    if (found === "free") {
      leaving = true;
      location.replace("index.html");
    } else if (found === "over") {
      say(
        `${KEPT}This visit is over, or sjplan was started anew: open the address that it printed, say who you are, ` +
          "and go on with the session from the first page.",
        "First page",
        () => location.replace("/"),
      );
    } else if (found === "taken" && ++taken > 4) {
      say(`${KEPT}This rehearsal goes on in another tab or window.`, "Use it here", () => {
        leaving = true;
        location.replace("index.html?take=1");
      });
    } else {
      waiting = setTimeout(back, AGAIN_MS);
    }
  };

  const gone = () => {
    if (lost || leaving) return;
    show();
    say(`${KEPT}This page tries to come back by itself, and then shows how things stand.`, "Try now", () => {
      clearTimeout(waiting);
      back();
    });
    // What is half open on this side would keep its place on the other.
    try {
      window.trame.client.disconnect(-1);
    } catch {
      // It is closed already.
    }
    back();
  };

  const beat = async () => {
    if (lost || leaving) return;
    const found = await asked();
    // "free": the other side knows of no page, so this one is cut off. "over": others came in here; it goes on as it is.
    missed = found === "" || found === "free" ? missed + 1 : 0;
    if (missed > 1) gone();
    else if (missed) setTimeout(beat, AGAIN_MS);
  };

  // Going elsewhere closes the connection too, and may come to nothing (a download).
  addEventListener("beforeunload", () => {
    leaving = true;
    setTimeout(() => (leaving = false), LEAVING_MS);
  });
  addEventListener("offline", beat);
  setInterval(beat, BEAT_MS);
  window.trame.client.onConnectionClose(gone);
  window.trame.client.onConnectionError(gone);
})();

// Pictures come on a connection of their own; of every one the other side is told that it is drawn (see stream.py).
(() => {
  if (window.sjplanPictures) return;
  window.sjplanPictures = true;

  const AGAIN_MS = 1500;
  const text = new TextDecoder();
  const kept = new Map();
  let over = false;

  const pixels = (name, width, height) => {
    const before = kept.get(name);
    if (before?.width === width && before.height === height) return before;
    const image = new ImageData(width, height);
    kept.set(name, image);
    return image;
  };

  const draw = (data) => {
    const head = new DataView(data);
    const start = 6 + head.getUint8(0);
    const name = text.decode(new Uint8Array(data, 6, head.getUint8(0)));
    const canvas = document.getElementById(`${name}_picture`);
    if (!canvas) return;
    const image = pixels(name, head.getUint16(2, true), head.getUint16(4, true));
    const from = new Uint8Array(data, start);
    const to = new Uint32Array(image.data.buffer);
    // Red comes first in memory, whole opacity last.
    if (head.getUint8(1) === 1) for (let n = 0; n < to.length; n++) to[n] = 0xff000000 | (from[n] * 0x010101);
    else
      for (let n = 0, k = 0; n < to.length; n++, k += 3)
        to[n] = 0xff000000 | (from[k + 2] << 16) | (from[k + 1] << 8) | from[k];
    if (canvas.width !== image.width || canvas.height !== image.height) {
      canvas.width = image.width;
      canvas.height = image.height;
    }
    canvas.getContext("2d", { alpha: false }).putImageData(image, 0, 0);
  };

  const connect = () => {
    const socket = new WebSocket(new URL("pictures", location.href).href.replace(/^http/, "ws"));
    socket.binaryType = "arraybuffer";
    socket.onmessage = (event) => {
      try {
        draw(event.data);
      } finally {
        socket.send("drawn"); // else no picture would come any more
      }
    };
    // Without the page's own connection nothing is shown any more: it is loaded anew, or goes on elsewhere.
    socket.onclose = () => over || setTimeout(connect, AGAIN_MS);
  };
  window.trame.client.onConnectionClose(() => (over = true));
  connect();
})();
