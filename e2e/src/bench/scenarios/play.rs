//! Does with a unit what its scenario says.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{
    draw::Activity,
    stage::{Diary, Stage},
};
use crate::{
    jupyter::{execute, kernel_path, terminal_path},
    traffic::{Connection, Socket, Target},
    wait::pass,
};

/// The pause after a failed request, and between two pings.
const PAUSE: Duration = Duration::from_secs(1);
/// The deadline of a request.
const REQUEST: Duration = Duration::from_secs(10);
/// The interval of a page that polls, and the rate that its pool allows. A minute has fewer polls.
pub const POLLS: Duration = Duration::from_millis(2500);
pub const POLLS_PER_MINUTE: u32 = 30;

/// A unit before its batch begins.
pub struct Scene {
    pub host: String,
    pub activity: Activity,
    /// When the fault of the batch happens.
    pub fault_at: f64,
    /// The path of the WebSocket of its kernel or terminal.
    path: String,
}

impl Scene {
    /// Starts the kernel or the terminal of the scenario.
    pub async fn prepare(stage: &Stage, host: &str, activity: Activity, fault_at: f64) -> anyhow::Result<Self> {
        let proxy = stage.proxy().await?;
        let path = match activity {
            Activity::SilentKernel(_)
            | Activity::WatchedKernel(_)
            | Activity::PrintingKernel(_)
            | Activity::IdlePage => {
                let path = kernel_path(proxy, host).await?;
                // Python is slow to start.
                execute(&mut Socket::open(proxy, host, &path).await?, "1").await?;
                path
            }
            Activity::Terminal(_) => terminal_path(proxy, host).await?,
            _ => String::new(),
        };
        Ok(Self { host: host.to_owned(), activity, fault_at, path })
    }

    /// When nothing more is done, apart from open pages.
    pub fn busy_until(&self) -> f64 {
        match self.activity {
            Activity::FrequentRequests(count, every) | Activity::RareRequests(count, every) => f64::from(count) * every,
            Activity::RequestBeforeFault(_) => self.fault_at,
            Activity::Upload(lasts) => lasts,
            _ => 0.0,
        }
    }

    /// Ends when nothing more is done, or never if a page stays open.
    pub async fn play(&self, stage: &Arc<Stage>, diary: &Diary) -> anyhow::Result<()> {
        match self.activity {
            Activity::Nothing => Ok(()),
            Activity::SilentKernel(lasts) => self.compute(stage, diary, lasts, &silent(lasts)).await.map(drop),
            Activity::WatchedKernel(lasts) => {
                let page = self.compute(stage, diary, lasts, &silent(lasts)).await?;
                self.stay_open(stage, diary, page, false).await
            }
            Activity::PrintingKernel(lasts) => {
                let code = format!(
                    "import time\nend = time.monotonic() + {lasts}\nwhile time.monotonic() < end:\n    \
                     print('x' * 500, flush=True)\n    time.sleep(0.2)\n"
                );
                let page = self.compute(stage, diary, lasts, &code).await?;
                self.stay_open(stage, diary, page, false).await
            }
            Activity::IdlePage => {
                let page = self.compute(stage, diary, 0.0, "1").await?;
                self.stay_open(stage, diary, page, true).await
            }
            Activity::Terminal(lasts) => self.print_in_terminal(stage, diary, lasts).await,
            Activity::PollingPage => loop {
                // Polls are not use, except the first ones after the first request.
                let target = Target::new(&self.host, "/api/sessions")?;
                let _ = ask(stage, &target).await;
                pass(POLLS).await;
            },
            Activity::FrequentRequests(count, every) | Activity::RareRequests(count, every) => {
                for number in 0..count {
                    stage.until(f64::from(number).mul_add(every, 1.0)).await;
                    self.request(stage, diary).await?;
                }
                Ok(())
            }
            Activity::RequestBeforeFault(lead) => {
                stage.until(self.fault_at - lead).await;
                self.request(stage, diary).await
            }
            Activity::Upload(lasts) => self.upload(stage, diary, lasts).await,
        }
    }

    /// Has the kernel execute a cell of that many seconds. Returns the page.
    async fn compute(&self, stage: &Stage, diary: &Diary, lasts: f64, code: &str) -> anyhow::Result<Socket> {
        let mut page = Socket::open(stage.proxy().await?, &self.host, &self.path).await?;
        let began = stage.now();
        execute(&mut page, code).await?;
        diary.used(began, began + lasts, "cell");
        // It ends that much later than it would if it had begun at once.
        diary.note("the cell is busy");
        Ok(page)
    }

    /// Keeps a page open. It opens its WebSocket again whenever it is cut, which is a request.
    async fn stay_open(&self, stage: &Stage, diary: &Diary, mut page: Socket, pings: bool) -> anyhow::Result<()> {
        loop {
            if page.attend(PAUSE).await && (!pings || page.ping().await.is_ok()) {
                continue;
            }
            diary.note("the page was cut");
            page = loop {
                let now = stage.now();
                let Ok(proxy) = stage.proxy().await else { continue };
                match Socket::open(proxy, &self.host, &self.path).await {
                    Ok(page) => {
                        diary.used(now, now, "page opened again");
                        break page;
                    }
                    Err(_) => pass(PAUSE).await,
                }
            };
        }
    }

    async fn print_in_terminal(&self, stage: &Stage, diary: &Diary, lasts: f64) -> anyhow::Result<()> {
        let mut page = Socket::open(stage.proxy().await?, &self.host, &self.path).await?;
        let now = stage.now();
        let lines = lasts.ceil();
        let command = format!("i=0; while [ $i -lt {lines} ]; do i=$((i+1)); echo line $i; sleep 1; done\r");
        page.send(&serde_json::json!(["stdin", command]).to_string()).await?;
        page.read_until(REQUEST, |text| text.contains("line 2")).await?;
        // The last line is printed a second before the end.
        diary.used(now, now + lines - 1.0, "terminal");
        Ok(())
    }

    async fn request(&self, stage: &Stage, diary: &Diary) -> anyhow::Result<()> {
        let sent = ask(stage, &Target::new(&self.host, "/api")?).await?;
        diary.used(sent, sent, "request");
        Ok(())
    }

    /// Uploads a file at a kilobyte a second. Starts again if the connection is cut.
    async fn upload(&self, stage: &Stage, diary: &Diary, lasts: f64) -> anyhow::Result<()> {
        let end = stage.now() + lasts;
        while stage.now() < end {
            if let Err(error) = self.upload_until(stage, diary, end).await {
                diary.note(&format!("the upload was cut: {error:#}"));
                pass(PAUSE).await;
            }
        }
        Ok(())
    }

    async fn upload_until(&self, stage: &Stage, diary: &Diary, end: f64) -> anyhow::Result<()> {
        let mut stream = TcpStream::connect(stage.proxy().await?).await?;
        let head =
            format!("PUT /api/contents/upload HTTP/1.1\r\nHost: {}\r\nContent-Length: 100000000\r\n\r\n", self.host);
        stream.write_all(head.as_bytes()).await?;
        let began = stage.now();
        diary.used(began, began, "upload begins");
        while stage.now() < end {
            let now = stage.now();
            stream.write_all(&[b'x'; 500]).await?;
            diary.lasts_until(now);
            let mut answer = [0; 1024];
            // A response before the end of the body is an error.
            if let Ok(read) = timeout(PAUSE / 2, stream.read(&mut answer)).await {
                let text = String::from_utf8_lossy(&answer[..read?]).into_owned();
                anyhow::bail!("the upload was refused: {}", text.lines().next().unwrap_or_default());
            }
        }
        Ok(())
    }
}

/// Sends a request until it is answered, at any proxy. Returns when the last one was sent.
async fn ask(stage: &Stage, target: &Target) -> anyhow::Result<f64> {
    let once = async || -> anyhow::Result<f64> {
        let mut connection = Connection::open(stage.proxy().await?).await?;
        let now = stage.now();
        let answer = timeout(REQUEST, connection.send(target)).await.context("no response")??;
        ensure!(answer.status == 200, "{answer:?}");
        Ok(now)
    };
    loop {
        match once().await {
            Ok(sent) => return Ok(sent),
            Err(_) => pass(PAUSE / 4).await,
        }
    }
}

fn silent(seconds: f64) -> String {
    format!("import time; time.sleep({seconds})")
}
