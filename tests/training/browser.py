"""Opens a page in headless Chromium, by its command line alone, and asks a script in it what it sees.

The page stands in a frame of the width that is wanted, because a window can't be narrower than about 500 pixels. The
script tells the window around the frame what it found, and Chromium prints that window.
"""

import base64
import hashlib
import html
import json
import re
import shutil
import subprocess
from pathlib import Path

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--hide-scrollbars", "--allow-file-access-from-files", "--virtual-time-budget=20000"),
]
# Before anything else runs: errors are noted, and whatever the page asks for and doesn't get
LISTEN = """
var trouble = [];
addEventListener("error", (event) => trouble.push("error: " + event.message), true);
addEventListener("unhandledrejection", (event) => trouble.push("rejected: " + event.reason));
addEventListener("securitypolicyviolation", (event) => trouble.push("not allowed: " + event.violatedDirective));
console.error = console.warn = (...words) => trouble.push("console: " + words.join(" "));
"""
TELL = """
(async () => {
  let found;
  try { found = await (async () => { %s })(); } catch (error) { found = null; trouble.push("asking: " + error.stack); }
  parent.postMessage(JSON.stringify({ found, trouble }), "*");
})();
"""
AROUND = """<!doctype html><meta name="color-scheme" content="light dark"><pre id="told"></pre>
<script>addEventListener("message", (event) => { document.getElementById("told").textContent = event.data; });</script>
<iframe src="page.html" style="border: 0; width: %dpx; height: %dpx"></iframe>
"""


def ask(folder, page, script, width=1280, height=3000, dark=False):
    """What `script`, the body of an async function, returns in a page; and what trouble there was, a list.

    The two scripts of the test are allowed by their fingerprints, as the page's own is: the page's policy stays.
    """
    listen, tell = LISTEN, TELL % script
    prints = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (listen, tell)]
    page = page.replace("script-src ", "script-src " + "".join(f"'sha256-{p}' " for p in prints), 1)
    page = page.replace("<title>", f"<script>{listen}</script><title>", 1)
    page = page.replace("</body>", f"<script>{tell}</script></body>", 1)
    (Path(folder) / "page.html").write_text(page, encoding="utf-8")
    around = Path(folder) / "around.html"
    around.write_text(AROUND % (width, height))
    profile = Path(folder) / "profile"
    shutil.rmtree(profile, ignore_errors=True)
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", f"--window-size={max(width, 600)},{height}"]
    command += ["--blink-settings=preferredColorScheme=" + ("0" if dark else "1"), "--dump-dom", around.as_uri()]
    printed = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    told = json.loads(html.unescape(re.search('<pre id="told">(.*?)</pre>', printed, re.DOTALL)[1]))
    return told["found"], told["trouble"]
