//! The responder behind the proxies: one thread, one epoll, HTTP/1.1 with only what the cases need.
//!
//! It shares a core with the load generator, so every microsecond that it saves is load for the proxy.

mod connection;
mod head;

use crate::child::Child;
use crate::workplace::Workplace;
use crate::{Verdict, output};
use anyhow::{Context as _, Result, bail};
use connection::{Connection, Progress, Shared};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

const LISTENER: u64 = u64::MAX;
const TIMER: u64 = u64::MAX - 1;
/// Streams are spread over this many moments of each millisecond, as independent streams would be.
const PHASES: usize = 8;
const BETWEEN_PHASES: Duration = Duration::from_micros(125);
const BEGIN: Duration = Duration::from_secs(5);

/// The driver's side: starts it and learns its address.
pub(crate) fn start(place: &Workplace, core: usize) -> Result<(Child, SocketAddr)> {
    let us = std::env::current_exe()?;
    let mut child = Child::start(place, "upstream", &[core], Path::new(&us), &["upstream".into()])?;
    let until = Instant::now() + BEGIN;
    while Instant::now() < until {
        child.check_running()?;
        if let Some((addr, _)) = child.said()?.split_once('\n') {
            return Ok((child, addr.parse()?));
        }
        sleep(Duration::from_millis(1));
    }
    bail!("the upstream did not begin within {} s", BEGIN.as_secs())
}

/// The child's side: serves until it is ended.
pub(crate) fn run() -> Result<Verdict> {
    let mut upstream = Upstream::new()?;
    output::line(&upstream.listener.local_addr()?.to_string());
    loop {
        upstream.turn()?;
    }
}

struct Upstream {
    epoll: OwnedFd,
    listener: TcpListener,
    timer: OwnedFd,
    timer_runs: bool,
    phase: usize,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    /// Connections that send an event stream, by phase.
    streams: [Vec<usize>; PHASES],
    shared: Shared,
    events: Vec<epoll::Event>,
}

impl Upstream {
    fn new() -> Result<Upstream> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        epoll::add(&epoll, &timer, EventData::new_u64(TIMER), EventFlags::IN)?;
        Ok(Upstream {
            epoll,
            listener,
            timer,
            timer_runs: false,
            phase: 0,
            connections: Vec::new(),
            free: Vec::new(),
            streams: Default::default(),
            shared: Shared::new(),
            events: Vec::with_capacity(256),
        })
    }

    fn turn(&mut self) -> Result<()> {
        let mut events = std::mem::take(&mut self.events);
        match epoll::wait(&self.epoll, spare_capacity(&mut events), None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).context("waiting for events"),
        }
        for event in events.drain(..) {
            match event.data.u64() {
                LISTENER => self.accept()?,
                TIMER => self.tick()?,
                token => {
                    let token = usize::try_from(token)?;
                    let flags = event.flags;
                    if flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR) {
                        self.note_that_it_left(token);
                    }
                    self.go_on(token);
                }
            }
        }
        self.events = events;
        self.run_timer_while_there_are_streams()
    }

    fn accept(&mut self) -> Result<()> {
        // A client that left the queue again is no reason to stop.
        while let Ok((stream, _)) = self.listener.accept() {
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let token = self.free.pop().unwrap_or(self.connections.len());
            // By edge in both directions: what cannot be sent now is gone on with when it can.
            let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
            epoll::add(&self.epoll, &stream, EventData::new_u64(token as u64), flags)?;
            if token == self.connections.len() {
                self.connections.push(None);
            }
            self.connections[token] = Some(Connection::new(stream));
        }
        Ok(())
    }

    fn note_that_it_left(&mut self, token: usize) {
        if let Some(Some(connection)) = self.connections.get_mut(token) {
            connection.other_side_left();
        }
    }

    fn go_on(&mut self, token: usize) {
        let Some(connection) = self.connections.get_mut(token).and_then(Option::as_mut) else {
            return;
        };
        match connection.go_on(&mut self.shared) {
            Progress::Waiting => {}
            Progress::Streaming => {
                let phase = token % PHASES;
                if !self.streams[phase].contains(&token) {
                    self.streams[phase].push(token);
                }
            }
            Progress::Over => self.close(token),
        }
    }

    fn tick(&mut self) -> Result<()> {
        match rustix::io::read(&self.timer, &mut [0; 8]) {
            Ok(_) => {}
            // It was stopped after it had fired.
            Err(rustix::io::Errno::AGAIN) => return Ok(()),
            Err(error) => return Err(error).context("reading the timer"),
        }
        self.phase = (self.phase + 1) % PHASES;
        for token in std::mem::take(&mut self.streams[self.phase]) {
            let Some(connection) = self.connections[token].as_mut() else { continue };
            match connection.send_chunk(&mut self.shared) {
                Progress::Streaming => self.streams[self.phase].push(token),
                // A request may have come while the stream went out.
                Progress::Waiting => self.go_on(token),
                Progress::Over => self.close(token),
            }
        }
        Ok(())
    }

    /// Dropping the socket takes it out of the epoll as well.
    fn close(&mut self, token: usize) {
        self.connections[token] = None;
        self.streams[token % PHASES].retain(|it| *it != token);
        self.free.push(token);
    }

    fn run_timer_while_there_are_streams(&mut self) -> Result<()> {
        let wanted = self.streams.iter().any(|it| !it.is_empty());
        if wanted == self.timer_runs {
            return Ok(());
        }
        let every = if wanted { BETWEEN_PHASES } else { Duration::ZERO };
        let every = Timespec { tv_sec: 0, tv_nsec: every.subsec_nanos().into() };
        let setting = Itimerspec { it_interval: every, it_value: every };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &setting)?;
        self.timer_runs = wanted;
        Ok(())
    }
}
