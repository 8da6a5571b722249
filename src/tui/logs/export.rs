//! A log's text out of the program: to a file, to the clipboard.

use std::path::PathBuf;
use std::sync::Arc;

use super::state::LogsState;
use crate::logs::{Line, sgr};
use crate::model::Stamp;
use crate::tui::Effect;

/// What goes to the clipboard at most, in bytes: terminals take about 100 kB by OSC 52, base64 included.
const MAX_COPY: usize = 64 * 1024;

impl LogsState {
    /// Every held line that the filter lets through, without colours.
    pub(super) fn save(&mut self, now: Stamp) -> Vec<Effect> {
        let Some(first) = self.first_line() else {
            self.message = Some("nothing to save yet".into());
            return Vec::new();
        };
        let mut text = String::with_capacity(self.buffer.cost());
        let mut number = Some(first);
        while let Some(at) = number {
            if let Some(line) = self.buffer.get(at) {
                self.append(&mut text, &line);
            }
            number = self.line_after(at);
        }
        text.push('\n');
        vec![Effect::SaveFile {
            path: self.file_name(now),
            text: Arc::from(text),
        }]
    }

    /// The lines on the screen.
    pub(super) fn copy(&mut self) -> Vec<Effect> {
        let mut text = String::new();
        for line in self.visible() {
            if text.len() + line.text.len() > MAX_COPY {
                break;
            }
            self.append(&mut text, &line);
        }
        if text.is_empty() {
            return Vec::new();
        }
        vec![Effect::Copy(text)]
    }

    fn append(&self, text: &mut String, line: &Line<'_>) {
        // A line that was cut for its length is one line again.
        if !line.continued || text.is_empty() {
            if !text.is_empty() {
                text.push('\n');
            }
            if let (true, Some(time)) = (self.timestamps, line.time) {
                text.push_str(&time.timestamp().to_string());
                text.push(' ');
            }
            if self.targets.len() > 1
                && !line.note
                && let Some(target) = self.targets.get(usize::from(line.source))
            {
                text.push_str(&target.name);
                text.push(' ');
            }
        }
        text.push_str(&sgr::plain(line.text));
    }

    /// `NAME-20261123T161455.log` in the working directory.
    fn file_name(&self, now: Stamp) -> PathBuf {
        let name = match self.targets.as_slice() {
            [one] => one.name.as_str(),
            _ => "containers",
        };
        let name: String = name
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || "_.-".contains(c) {
                    c
                } else {
                    '_'
                }
            })
            .take(100)
            .collect();
        let name = name.trim_start_matches('.');
        let time = now.wall.to_zoned(self.zone.clone());
        PathBuf::from(format!("{name}-{}.log", time.strftime("%Y%m%dT%H%M%S")))
    }
}
