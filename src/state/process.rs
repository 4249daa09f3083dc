//! The current state of each process: a pure fold of process events.
//!
//! It needs the events of one stream in the order of seq, or of several streams in the order of the log. A
//! newer life of a supervisor takes the place of the one before; what the old one still has to say comes first.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::event::process::{ProcessData, ProcessState, Reason, ResourcesData, kind};
use crate::event::{Class, Event, StreamId, Timestamp};

/// Every process of every source.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Processes {
    /// By the name of the source.
    pub sources: BTreeMap<String, Source>,
}

/// The processes of one source.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// The stream that was folded last: one life of the supervisor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<StreamId>,
    /// By the name of the replica.
    pub processes: BTreeMap<String, Process>,
    /// The sample of resources that is coming in, and how many of its parts have.
    #[serde(default)]
    sample: (i64, u32),
}

/// What has become of one process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Process {
    /// As the last event showed it.
    pub state: ProcessState,
    /// Whether a run is open.
    pub up: bool,
    /// Since when it has been up, or has not.
    pub since: Timestamp,
    /// The run that is open, else the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<Uuid>,
    /// Runs so far: those that were seen, and those that the count of restarts tells of.
    pub runs: u64,
    /// Runs that failed.
    pub crashes: u64,
    /// How often `restarted` told of a restart, runs that nobody saw included.
    pub restarts: u64,
    /// Whether the last probe passed; `None` when none has told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthy: Option<bool>,
    /// How the last run ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_exit: Option<Exit>,
    /// The last event.
    pub changed: Timestamp,
    /// The last sample of resources that listed it.
    #[serde(default)]
    sampled: i64,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// When.
    pub at: Timestamp,
    /// Whether as it should.
    pub clean: bool,
    /// Its code, where anybody saw it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i64>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

impl Processes {
    /// Takes one event; what is no process event, or cannot be read as one, changes nothing.
    pub fn apply(&mut self, event: &Event) {
        if event.session.class() != Class::Process {
            return;
        }
        let Some(name) = event.origin.source.as_deref() else { return };
        let source = self.sources.entry(name.to_owned()).or_default();
        if event.kind.as_str() == kind::RESOURCES_SAMPLED {
            if let Ok(data) = event.data.read() {
                source.sample(&data);
            }
        } else if let Ok(data) = event.data.read() {
            source.change(event, data);
        }
    }
}

impl Source {
    /// The same with these processes only.
    pub fn with<'a>(&self, names: impl Iterator<Item = &'a str>) -> Self {
        let known = |name: &str| self.processes.get(name).map(|process| (name.to_owned(), process.clone()));
        let processes = names.filter_map(known).collect();
        Self { stream: self.stream.clone(), processes, sample: self.sample }
    }

    fn change(&mut self, event: &Event, data: ProcessData) {
        if self.stream.as_ref() != Some(&event.session) {
            // The new life of the supervisor begins with its own baseline.
            self.processes.clear();
            self.stream = Some(event.session.clone());
        }
        if event.kind.as_str() != kind::STARTED {
            self.rename(data.run_id, &data.process);
        }
        let fresh = || Process::new(data.state.clone(), event.ts);
        let process = self.processes.entry(data.process.clone()).or_insert_with(fresh);
        process.apply(event.kind.as_str(), event.ts, data);
    }

    /// Scaling gives a process a new name and its run goes on: the run tells.
    fn rename(&mut self, run_id: Option<Uuid>, name: &str) {
        if self.processes.get(name).is_some_and(|process| process.run_id == run_id) {
            return;
        }
        let moved = self.processes.iter().find(|(old, process)| {
            process.up && run_id.is_some() && process.run_id == run_id && old.as_str() != name
        });
        if let Some(old) = moved.map(|(old, _)| old.clone())
            && let Some(mut process) = self.processes.remove(&old)
        {
            process.state.name = name.to_owned();
            self.processes.insert(name.to_owned(), process);
        }
    }

    /// A whole sample lists every process that there is: the others are gone, unless their end is still to be
    /// told.
    fn sample(&mut self, data: &ResourcesData) {
        for usage in &data.processes {
            self.rename(usage.run_id, &usage.process);
            if let Some(process) = self.processes.get_mut(&usage.process) {
                process.state.mem = usage.mem;
                process.state.cpu = usage.cpu;
                process.sampled = data.sample;
            }
        }
        let before = if self.sample.0 == data.sample { self.sample.1 } else { 0 };
        self.sample = (data.sample, before + 1);
        if before + 1 == data.parts {
            self.processes.retain(|_, process| process.up || process.sampled == data.sample);
        }
    }
}

impl Process {
    fn new(state: ProcessState, at: Timestamp) -> Self {
        Self {
            state,
            up: false,
            since: at,
            run_id: None,
            runs: 0,
            crashes: 0,
            restarts: 0,
            healthy: None,
            last_exit: None,
            changed: at,
            sampled: 0,
        }
    }

    fn apply(&mut self, kind: &str, at: Timestamp, data: ProcessData) {
        match kind {
            kind::STARTED => {
                self.up = true;
                self.since = at;
                self.run_id = data.run_id;
                self.runs += 1;
                self.healthy = health(&data.state.is_ready);
            }
            kind::STOPPED | kind::CRASHED => {
                let clean = kind == kind::STOPPED;
                self.up = false;
                self.since = at;
                self.crashes += u64::from(!clean);
                self.healthy = None;
                self.last_exit = Some(Exit { at, clean, code: data.exit_code, reason: data.reason });
            }
            kind::RESTARTED => {
                let unseen = data.unseen.unwrap_or(0);
                self.runs += unseen;
                self.restarts += unseen + 1;
            }
            kind::HEALTHY => self.healthy = Some(true),
            kind::UNHEALTHY => self.healthy = Some(false),
            _ => {}
        }
        self.changed = at;
        self.state = data.state;
    }
}

fn health(is_ready: &str) -> Option<bool> {
    match is_ready {
        "Ready" => Some(true),
        "Not Ready" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::process::Usage;
    use crate::event::{Data, testing};

    /// A fold with the events that it was given.
    #[derive(Default)]
    struct World {
        state: Processes,
        seq: u64,
    }

    impl World {
        fn tell(&mut self, stream: &str, kind: &str, data: Data) {
            self.seq += 1;
            let time = Timestamp::from_millis(1000 * self.seq as i64);
            self.state.apply(&Event {
                id: Uuid::from_u128(self.seq.into()),
                ts: time,
                observed: time,
                seq: self.seq,
                origin: testing::from_main(),
                data,
                ..testing::event(stream, kind)
            });
        }

        fn process(&mut self, kind: &str, name: &str, run: u128, edit: impl FnOnce(&mut ProcessData)) {
            let state = serde_json::json!({
                "name": name, "namespace": "default", "status": "Running", "is_ready": "-",
                "has_ready_probe": false, "restarts": 0, "exit_code": 0, "is_running": true,
            });
            let data = serde_json::json!({ "process": name, "namespace": "default", "state": state });
            let mut data: ProcessData = serde_json::from_value(data).expect("a payload");
            data.run_id = Some(Uuid::from_u128(run));
            edit(&mut data);
            self.tell("proc-main-1", kind, Data::from_value(&data).expect("a payload"));
        }

        fn sample(&mut self, sample: i64, part: (u32, u32), processes: &[(&str, Option<u128>)]) {
            let usage = |(name, run): &(&str, Option<u128>)| Usage {
                process: (*name).into(),
                namespace: "default".into(),
                run_id: run.map(Uuid::from_u128),
                mem: 7,
                cpu: 0.5,
            };
            let processes = processes.iter().map(usage).collect();
            let data = ResourcesData { source: "main".into(), sample, part: part.0, parts: part.1, processes };
            self.tell("proc-main-1", kind::RESOURCES_SAMPLED, Data::from_value(&data).expect("a payload"));
        }

        fn of(&self, name: &str) -> &Process {
            &self.state.sources["main"].processes[name]
        }

        fn names(&self) -> Vec<&str> {
            self.state.sources["main"].processes.keys().map(String::as_str).collect()
        }
    }

    #[test]
    fn counts_runs_crashes_and_restarts() {
        let mut world = World::default();
        world.process(kind::STARTED, "web", 1, |data| data.state.is_ready = "Ready".into());
        assert_eq!((world.of("web").up, world.of("web").healthy), (true, Some(true)));
        world.process(kind::UNHEALTHY, "web", 1, |_| {});
        assert_eq!(world.of("web").healthy, Some(false));
        world.process(kind::CRASHED, "web", 1, |data| {
            data.exit_code = Some(7);
            data.reason = Some(Reason::Exit);
        });
        world.process(kind::RESTARTED, "web", 1, |data| data.unseen = Some(2));
        world.process(kind::STARTED, "web", 2, |_| {});
        let web = world.of("web");
        assert_eq!((web.up, web.runs, web.crashes, web.restarts, web.healthy), (true, 4, 1, 3, None));
        assert_eq!(web.since, Timestamp::from_millis(5000));
        let exit =
            Exit { at: Timestamp::from_millis(3000), clean: false, code: Some(7), reason: Some(Reason::Exit) };
        assert_eq!(web.last_exit, Some(exit));
        world.process(kind::STOPPED, "web", 2, |_| {});
        assert!(!world.of("web").up);
        assert!(world.of("web").last_exit.as_ref().is_some_and(|exit| exit.clean));
    }

    #[test]
    fn a_run_that_goes_on_under_another_name_is_found_by_its_id() {
        let mut world = World::default();
        world.process(kind::STARTED, "w", 1, |_| {});
        world.sample(1, (1, 1), &[("w-0", Some(1)), ("w-1", None)]);
        assert_eq!(world.names(), ["w-0"]);
        assert_eq!((world.of("w-0").state.mem, world.of("w-0").state.name.as_str()), (7, "w-0"));
        world.process(kind::STOPPED, "w-00", 1, |_| {});
        assert_eq!((world.names(), world.of("w-00").runs), (vec!["w-00"], 1));
    }

    #[test]
    fn what_a_whole_sample_does_not_list_is_gone_once_it_has_ended() {
        let mut world = World::default();
        for (name, run) in [("a", 1), ("b", 2), ("c", 3)] {
            world.process(kind::STARTED, name, run, |_| {});
        }
        world.process(kind::STOPPED, "b", 2, |_| {});
        world.sample(5, (2, 2), &[("a", Some(1))]);
        assert_eq!(world.names(), ["a", "b", "c"], "a part is missing");
        world.sample(6, (1, 2), &[("a", Some(1))]);
        world.sample(6, (2, 2), &[]);
        assert_eq!(world.names(), ["a", "c"]);
    }

    #[test]
    fn another_life_of_the_supervisor_begins_anew_and_a_saved_fold_goes_on() {
        let mut world = World::default();
        world.process(kind::STARTED, "a", 1, |_| {});
        let saved = serde_json::to_string(&world.state).expect("JSON");
        let back: Processes = serde_json::from_str(&saved).expect("JSON");
        assert_eq!(back, world.state);
        let data = serde_json::to_value(&world.of("a").state).expect("JSON");
        let data = serde_json::json!({ "process": "z", "namespace": "default", "state": data });
        world.tell("proc-main-2", kind::STARTED, Data::from_value(&data).expect("a payload"));
        assert_eq!(world.names(), ["z"]);
        // What is no process event, and what cannot be read, changes nothing.
        let before = world.state.clone();
        world.tell("source-main", "source_down", Data::parse("{}".into()).expect("an object"));
        world.tell("proc-main-2", "from_the_future", Data::parse(r#"{"x":1}"#.into()).expect("an object"));
        assert_eq!(world.state, before);
    }
}
