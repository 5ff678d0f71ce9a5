//! A headless Chromium, spoken to over its debugging pipe (Chrome DevTools Protocol), without a network.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at once")]

use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// One page in a browser of its own.
pub struct Browser {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    session: String,
    next: u64,
    /// What the page complained of: errors, exceptions, failed and forbidden requests.
    pub complaints: Vec<String>,
    /// Every address that the page asked for.
    pub requests: Vec<String>,
    _profile: tempfile::TempDir,
}

/// The browser of `cargo xtask setup`, or another of its family.
pub fn chromium() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("TOCCO_CHROMIUM") {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let named =
        |name: &'static str| std::env::split_paths(&path).map(move |folder| folder.join(name)).collect::<Vec<_>>();
    ["chromium", "chromium-browser", "google-chrome"].into_iter().flat_map(named).find(|file| file.is_file())
}

impl Browser {
    /// Opens a file as a page and waits until it is loaded.
    pub fn open(chromium: &Path, page: &Path) -> Self {
        let profile = tempfile::tempdir().unwrap();
        // The browser speaks on the descriptors 3 and 4: they are this program's pipes.
        let mut process = Command::new("sh")
            .args(["-c", "exec \"$@\" 3<&0 4>&1 0</dev/null 1>/dev/null 2>/dev/null", "sh"])
            .arg(chromium)
            .args(["--headless", "--remote-debugging-pipe", "--mute-audio", "--disable-gpu"])
            // Where root runs the tests, as in a container, there is no sandbox; the page is our own.
            .args(["--no-sandbox", "--disable-dev-shm-usage", "--no-first-run", "--window-size=1280,900"])
            .args(["--autoplay-policy=no-user-gesture-required", "--disable-background-networking"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        let mut browser = Self {
            process,
            input,
            output,
            session: String::new(),
            next: 0,
            complaints: Vec::new(),
            requests: Vec::new(),
            _profile: profile,
        };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}))["targetId"].clone();
        let attached = browser.call("Target.attachToTarget", json!({"targetId": target, "flatten": true}));
        browser.session = attached["sessionId"].as_str().unwrap().to_owned();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        let address = format!("file://{}", page.canonicalize().unwrap().display());
        browser.call("Page.navigate", json!({"url": address}));
        browser.wait_for("document.readyState == 'complete'");
        browser
    }

    /// The value of an expression in the page; promises are waited for.
    pub fn value(&mut self, expression: &str) -> Value {
        let arguments =
            json!({"expression": expression, "returnByValue": true, "awaitPromise": true, "userGesture": true});
        let answer = self.call("Runtime.evaluate", arguments);
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// The number that an expression in the page gives.
    pub fn number(&mut self, expression: &str) -> f64 {
        let value = self.value(expression);
        value.as_f64().unwrap_or_else(|| panic!("{expression} is {value}"))
    }

    /// Waits until an expression in the page is true.
    pub fn wait_for(&mut self, expression: &str) {
        let end = Instant::now() + Duration::from_secs(30);
        while self.value(expression) != json!(true) {
            assert!(Instant::now() < end, "{expression} did not come true; {:?}", self.complaints);
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// Presses a key as a person does.
    pub fn press(&mut self, key: &str, code: u32) {
        for kind in ["rawKeyDown", "keyUp"] {
            let key = json!({"type": kind, "key": key, "windowsVirtualKeyCode": code});
            self.call("Input.dispatchKeyEvent", key);
        }
    }

    /// Clicks into the page, at pixels from its upper left corner.
    pub fn click(&mut self, x: f64, y: f64) {
        for kind in ["mousePressed", "mouseReleased"] {
            let click = json!({"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1});
            self.call("Input.dispatchMouseEvent", click);
        }
    }

    fn call(&mut self, method: &str, params: Value) -> Value {
        self.next += 1;
        let mut message = json!({"id": self.next, "method": method, "params": params});
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        let mut bytes = serde_json::to_vec(&message).unwrap();
        bytes.push(0);
        self.input.write_all(&bytes).unwrap();
        self.input.flush().unwrap();
        loop {
            let mut bytes = Vec::new();
            self.output.read_until(0, &mut bytes).unwrap();
            assert_eq!(bytes.pop(), Some(0), "the browser went away during {method}");
            let answer: Value = serde_json::from_slice(&bytes).unwrap();
            self.note(&answer);
            if answer["id"] == json!(self.next) {
                assert!(answer.get("error").is_none(), "{method}: {answer}");
                return answer["result"].clone();
            }
        }
    }

    fn note(&mut self, event: &Value) {
        let params = &event["params"];
        match event["method"].as_str().unwrap_or_default() {
            "Runtime.exceptionThrown" => self.complaints.push(params["exceptionDetails"].to_string()),
            "Runtime.consoleAPICalled" if params["type"] == "error" || params["type"] == "warning" => {
                self.complaints.push(params["args"].to_string());
            }
            "Log.entryAdded" if params["entry"]["level"] == "error" => {
                self.complaints.push(params["entry"].to_string())
            }
            "Network.requestWillBeSent" => {
                self.requests.push(params["request"]["url"].as_str().unwrap_or_default().chars().take(80).collect());
            }
            _ => {}
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
