//! State, update and views as the loop drives them.

use std::time::Duration;

use ratatui::buffer::Buffer;

use super::run::App;
use super::{Effect, Event, State, Theme, draw, update};
use crate::model::Stamp;
use crate::watch::World;

/// The dashboard: what [`super::run::run`] is given.
#[derive(Debug)]
pub struct Dashboard {
    /// What is known and shown.
    pub state: State,
    /// How it is drawn.
    pub theme: Theme,
}

impl App for Dashboard {
    fn world(&mut self) -> &mut World {
        &mut self.state.world
    }

    fn update(&mut self, event: Event, now: Stamp) -> Vec<Effect> {
        update(&mut self.state, event, now)
    }

    fn take_dirty(&mut self) -> bool {
        self.state.take_frame_owed()
    }

    fn next_deadline(&self, now: Stamp) -> Option<Duration> {
        self.state.deadline().map(|at| at.saturating_sub(now.mono))
    }

    fn draw(&mut self, buffer: &mut Buffer, _now: Stamp) {
        let regions = draw(&self.state, &self.theme, buffer);
        self.state.drawn(regions);
    }
}
