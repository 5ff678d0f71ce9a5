//! The settings' past, so that a host's undo reaches them.
//!
//! Neither plugin format lets a plugin say that its project has changed. A parameter that the player does not see, the
//! *revision*, says it: each change made on the panel moves it, hosts mark the project as changed, and those that keep
//! parameter changes in their undo list set it back. Then the settings of that revision come back.

use std::collections::VecDeque;

use super::Settings;

/// Revisions are 0 to this, and then 0 again.
pub const REVISIONS: i32 = 9999;
/// So many steps can be undone.
const DEPTH: usize = 100;

/// What the settings were, by revision.
#[derive(Debug, Default)]
pub struct History {
    past: VecDeque<(i32, Settings)>,
    /// The revision of the settings in force.
    number: i32,
    /// The parameter's value as last seen.
    seen: i32,
    /// What the host was told and has not yet set.
    pending: VecDeque<i32>,
    /// Whether a change has yet to be told.
    untold: bool,
    /// Whether the next value of the parameter is that of a restored project.
    adopt: bool,
}

impl History {
    /// The settings are about to change on the panel.
    pub fn before_change(&mut self, settings: &Settings) {
        if !self.untold {
            self.keep(settings);
        }
        self.untold = true;
    }

    /// A project was restored: its revision will be seen, and has no past.
    pub fn restart(&mut self) {
        *self = Self { adopt: true, ..Self::default() };
    }

    /// The revision to tell the host, if the panel has changed the settings since the last call.
    pub fn tell(&mut self, settings: &Settings) -> Option<i32> {
        if !self.untold {
            return None;
        }
        self.untold = false;
        self.number = if self.number == REVISIONS { 0 } else { self.number + 1 };
        self.keep(settings);
        self.pending.push_back(self.number);
        Some(self.number)
    }

    /// The parameter has this value: answers with the settings to go back to, where it was the host that moved it.
    pub fn follow(&mut self, value: i32) -> Option<&Settings> {
        if self.adopt {
            (self.adopt, self.number, self.seen) = (false, value, value);
            return None;
        }
        if value == self.seen {
            return None;
        }
        self.seen = value;
        if let Some(at) = self.pending.iter().position(|&told| told == value) {
            self.pending.drain(..=at);
            return None;
        }
        let (number, settings) = self.past.iter().rev().find(|(number, _)| *number == value)?;
        self.number = *number;
        Some(settings)
    }

    fn keep(&mut self, settings: &Settings) {
        self.past.retain(|(number, _)| *number != self.number);
        self.past.push_back((self.number, settings.clone()));
        if self.past.len() > DEPTH {
            self.past.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn named(name: &str) -> Settings {
        Settings { name: name.into(), ..Settings::default() }
    }

    fn change(history: &mut History, from: &str, to: &str) -> i32 {
        history.before_change(&named(from));
        history.tell(&named(to)).unwrap()
    }

    #[test]
    fn a_host_s_undo_and_redo_find_what_was() {
        let mut history = History::default();
        assert_eq!(history.follow(0), None);
        let first = change(&mut history, "a", "b");
        assert_eq!(history.follow(first), None, "the host sets what it was told");
        let second = change(&mut history, "b", "c");
        assert_eq!(history.follow(second), None);
        assert_eq!(history.follow(first), Some(&named("b")));
        assert_eq!(history.follow(0), Some(&named("a")));
        assert_eq!(history.follow(second), Some(&named("c")));
        // A change after an undo goes on from there.
        assert_eq!(history.follow(first), Some(&named("b")));
        let other = change(&mut history, "b", "d");
        assert_eq!(history.follow(other), None);
        assert_eq!(history.follow(first), Some(&named("b")));
    }

    #[test]
    fn a_host_that_is_slow_to_set_it_takes_nothing_back() {
        let mut history = History::default();
        let told: Vec<i32> =
            [("a", "b"), ("b", "c"), ("c", "d")].map(|(from, to)| change(&mut history, from, to)).into();
        assert_eq!(history.follow(told[0]), None);
        assert_eq!(history.follow(told[2]), None, "one was left out");
        assert_eq!(history.follow(told[0]), Some(&named("b")));
    }

    #[test]
    fn a_restored_project_has_no_past() {
        let mut history = History::default();
        change(&mut history, "a", "b");
        history.restart();
        assert_eq!(history.follow(7), None);
        assert_eq!(change(&mut history, "p", "q"), 8);
        assert_eq!(history.follow(8), None);
        assert_eq!(history.follow(7), Some(&named("p")));
        assert_eq!(history.follow(1), None, "a revision of another project");
    }

    #[test]
    fn revisions_go_round() {
        let mut history = History::default();
        history.restart();
        history.follow(REVISIONS);
        assert_eq!(change(&mut history, "a", "b"), 0);
    }
}
