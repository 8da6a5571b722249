//! What keys do to the Logs tab.

use tui_input::{Input, InputRequest};

use super::screen::Anchor;
use super::state::{Filter, LogsState, Prompt, PromptKind, Since};
use crate::logs::{Matcher, PageKind, PatternKind};
use crate::model::Stamp;
use crate::tui::keymap::{Key, KeyPress};
use crate::tui::{Action, Effect};

/// Columns that left and right move lines that are not wrapped.
const STEP: usize = 16;

/// Longest pattern, in characters.
const MAX_PATTERN: usize = 512;

impl LogsState {
    /// Does what a key asks for; `None` where the Logs tab has no use for it.
    pub fn handle(&mut self, action: Action, now: Stamp) -> Option<Vec<Effect>> {
        self.message = None;
        let page = usize::from(self.viewport.rows).saturating_sub(1).max(1);
        let effects = match action {
            Action::Up => self.scroll_up(1),
            Action::Down => self.scroll_down(1),
            Action::PageUp => self.scroll_up(page),
            Action::PageDown => self.scroll_down(page),
            Action::First => self.go_first(),
            Action::Last => self.go_last(now),
            Action::Left if !self.wrap => {
                self.shift = self.shift.saturating_sub(STEP);
                Vec::new()
            }
            Action::Right if !self.wrap => {
                self.shift = (self.shift + STEP).min(crate::logs::assemble::MAX_LINE);
                Vec::new()
            }
            Action::LogFollow => self.toggle_follow(now),
            Action::LogSearch => self.ask(PromptKind::Search),
            Action::LogFilter => self.ask(PromptKind::Filter),
            Action::LogNext => self.step_match(true),
            Action::LogPrevious => self.step_match(false),
            Action::LogTimestamps => {
                self.timestamps = !self.timestamps;
                Vec::new()
            }
            Action::LogWrap => {
                self.wrap = !self.wrap;
                self.shift = 0;
                self.top.row = 0;
                Vec::new()
            }
            Action::LogSince => {
                let at = Since::ALL.iter().position(|s| *s == self.since);
                let next = at.and_then(|at| Since::ALL.get(at + 1)).copied();
                self.set_since(next.unwrap_or_default(), now)
            }
            Action::LogSave => self.save(now),
            Action::Copy => self.copy(),
            Action::Back => return self.back(),
            _ => return None,
        };
        Some(effects)
    }

    /// Whether keys are text at the moment: then [`LogsState::key`] takes them.
    pub fn wants_text(&self) -> bool {
        self.prompt.is_some()
    }

    /// Takes a key of the prompt; `action` is what it means in input mode (enter, back).
    pub fn key(&mut self, key: KeyPress, action: Option<Action>) -> Vec<Effect> {
        let Some(prompt) = &mut self.prompt else {
            return Vec::new();
        };
        match (action, key.key) {
            (Some(Action::Enter), _) | (None, Key::Enter) => return self.accept(),
            (Some(Action::Back), _) | (None, Key::Esc) => return self.cancel(),
            _ => {}
        }
        // Emacs habits of line editors, as in a shell.
        let request = match (key.key, key.ctrl, key.alt) {
            (Key::Char('r'), true, _) if prompt.kind == PromptKind::Search => {
                prompt.regex = !prompt.regex;
                None
            }
            (Key::Char('u'), true, _) => Some(InputRequest::DeleteLine),
            (Key::Char('w'), true, _) => Some(InputRequest::DeletePrevWord),
            (Key::Char('k'), true, _) => Some(InputRequest::DeleteTillEnd),
            (Key::Char('a'), true, _) | (Key::Home, ..) => Some(InputRequest::GoToStart),
            (Key::Char('e'), true, _) | (Key::End, ..) => Some(InputRequest::GoToEnd),
            (Key::Char(c), false, false) if prompt.input.value().chars().count() < MAX_PATTERN => {
                Some(InputRequest::InsertChar(c))
            }
            (Key::Backspace, ..) => Some(InputRequest::DeletePrevChar),
            (Key::Delete, ..) => Some(InputRequest::DeleteNextChar),
            (Key::Left, ..) => Some(InputRequest::GoToPrevChar),
            (Key::Right, ..) => Some(InputRequest::GoToNextChar),
            _ => return Vec::new(),
        };
        if let Some(request) = request {
            prompt.input.handle(request);
        }
        self.try_pattern();
        Vec::new()
    }

    /// Text pasted into the prompt.
    pub fn paste(&mut self, text: &str) {
        if let Some(prompt) = &mut self.prompt {
            let room = MAX_PATTERN.saturating_sub(prompt.input.value().chars().count());
            for c in text.chars().filter(|c| !c.is_control()).take(room) {
                prompt.input.handle(InputRequest::InsertChar(c));
            }
            self.try_pattern();
        }
    }

    /// Turns of the mouse wheel, in rows; up is negative.
    pub fn wheel(&mut self, rows: i32) -> Vec<Effect> {
        let count = rows.unsigned_abs() as usize;
        if rows < 0 {
            self.scroll_up(count)
        } else {
            self.scroll_down(count)
        }
    }

    fn go_first(&mut self) -> Vec<Effect> {
        if !self.reach.beginning {
            self.hold();
            return self.load(PageKind::Beginning);
        }
        self.follow = false;
        self.top = Anchor {
            line: self.first_line().unwrap_or(0),
            row: 0,
        };
        Vec::new()
    }

    fn go_last(&mut self, now: Stamp) -> Vec<Effect> {
        if self.reach.detached {
            return self.reopen(now);
        }
        self.follow = true;
        Vec::new()
    }

    fn toggle_follow(&mut self, now: Stamp) -> Vec<Effect> {
        if self.follow {
            self.hold();
            return Vec::new();
        }
        self.go_last(now)
    }

    /// Escape takes away one thing at a time: search, then filter; then it is not ours.
    fn back(&mut self) -> Option<Vec<Effect>> {
        if self.search.is_some() {
            self.search = None;
            self.found = None;
        } else if self.filter.is_some() {
            self.set_filter(None);
        } else {
            return None;
        }
        Some(Vec::new())
    }

    fn ask(&mut self, kind: PromptKind) -> Vec<Effect> {
        let old = match kind {
            PromptKind::Search => self.search.as_ref(),
            PromptKind::Filter => self.filter.as_ref().map(|filter| &filter.matcher),
        };
        let before = old.map(|matcher| (matcher.pattern().to_owned(), matcher.kind()));
        let text = match (&before, kind) {
            (Some((pattern, _)), PromptKind::Filter) => pattern.clone(),
            _ => String::new(),
        };
        self.prompt = Some(Prompt {
            kind,
            input: Input::new(text),
            regex: kind == PromptKind::Filter
                || before
                    .as_ref()
                    .is_some_and(|(_, kind)| *kind == PatternKind::Regex),
            error: None,
            before,
        });
        Vec::new()
    }

    /// Puts what is typed in force, if it is a pattern; else the last good one stays.
    fn try_pattern(&mut self) {
        let Some(prompt) = &mut self.prompt else {
            return;
        };
        let kind = if prompt.regex {
            PatternKind::Regex
        } else {
            PatternKind::Text
        };
        let text = prompt.input.value();
        let matcher = if text.is_empty() {
            prompt.error = None;
            None
        } else {
            match Matcher::new(text, kind) {
                Ok(matcher) => {
                    prompt.error = None;
                    Some(matcher)
                }
                Err(error) => {
                    prompt.error = Some(error);
                    return;
                }
            }
        };
        match prompt.kind {
            PromptKind::Search => self.search = matcher,
            PromptKind::Filter => self.set_filter(matcher),
        }
    }

    fn set_filter(&mut self, matcher: Option<Matcher>) {
        self.filter = matcher.map(|matcher| Filter {
            matcher,
            lines: std::collections::VecDeque::new(),
        });
        self.rebuild_filter();
    }

    fn accept(&mut self) -> Vec<Effect> {
        let Some(prompt) = &self.prompt else {
            return Vec::new();
        };
        if prompt.error.is_some() {
            return Vec::new(); // stays open with its error shown
        }
        let kind = prompt.kind;
        let again = prompt.input.value().is_empty() && kind == PromptKind::Search;
        let before = prompt.before.clone();
        self.prompt = None;
        if kind == PromptKind::Filter {
            return Vec::new();
        }
        if again {
            // Nothing typed: the pattern of before, as in less.
            self.search = before.and_then(|(text, kind)| Matcher::new(&text, kind).ok());
        }
        self.found = None;
        self.step_match(false)
    }

    fn cancel(&mut self) -> Vec<Effect> {
        if let Some(prompt) = self.prompt.take() {
            let matcher = prompt
                .before
                .and_then(|(text, kind)| Matcher::new(&text, kind).ok());
            match prompt.kind {
                PromptKind::Search => self.search = matcher,
                PromptKind::Filter => self.set_filter(matcher),
            }
        }
        Vec::new()
    }

    /// Goes to the next (older or newer) line that matches; a log is searched backwards first, as what
    /// went wrong is near its end.
    fn step_match(&mut self, forward: bool) -> Vec<Effect> {
        let Some(search) = self.search.clone() else {
            return self.ask(PromptKind::Search);
        };
        let start = self.found.or_else(|| {
            let screen = self.screen(self.viewport);
            if forward {
                screen.rows.first().map(|row| row.line - 1)
            } else {
                screen.rows.last().map(|row| row.line + 1)
            }
        });
        let mut at = start.unwrap_or(if forward { i64::MIN } else { i64::MAX });
        loop {
            let next = if forward {
                self.line_after(at)
            } else {
                self.line_before(at)
            };
            let Some(number) = next else { break };
            if self
                .buffer
                .get(number)
                .is_some_and(|line| search.is_match(line.text))
            {
                self.found = Some(number);
                self.show_line(number);
                return Vec::new();
            }
            at = number;
        }
        self.message = Some(match (forward, self.reach.beginning, self.reach.detached) {
            (true, _, true) => "no match yet".into(),
            (true, ..) => "no newer match".into(),
            (false, true, _) => "no older match".into(),
            (false, false, _) => "no match yet".into(),
        });
        match (forward, self.reach.detached) {
            (true, true) => self.load_newer(),
            (true, false) => Vec::new(),
            (false, _) => self.load_older(),
        }
    }
}
