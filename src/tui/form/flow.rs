//! From a form to a running container, a step at a time: plan, pull, look inside, question, start. Each
//! outcome goes on from where the last one led.

use super::state::{Allowed, FRESH, Form, Phase, Spot};
use super::{after, text};
use crate::check::Subject;
use crate::engine::PullProgress;
use crate::launch::PullPolicy;
use crate::launcher::{HostNow, LaunchFault, Launched, Plan, Stage};
use crate::model::{EngineStatus, ImageId, Problem};
use crate::tui::effect::Effect;
use crate::tui::state::State;
use crate::tui::state::checks::{Asked, CANCELLED, Stopped};
use crate::tui::state::layers::{Ask, Confirm, Layer};
use crate::tui::widgets::Tone;
use crate::verdict::Answer;

/// The form, wherever in the stack it is.
pub fn form_mut(state: &mut State) -> Option<&mut Form> {
    state
        .ui
        .layers
        .iter_mut()
        .rev()
        .find_map(|layer| match layer {
            Layer::Form(form) => Some(&mut **form),
            _ => None,
        })
}

/// The form, wherever in the stack it is.
pub fn form(state: &State) -> Option<&Form> {
    state.ui.layers.iter().rev().find_map(|layer| match layer {
        Layer::Form(form) => Some(&**form),
        _ => None,
    })
}

/// When the form wants something done.
pub fn deadline(state: &State) -> Option<std::time::Duration> {
    form(state)?.due()
}

/// What the engine is doing that no plan can be made.
fn away(state: &State) -> String {
    match &state.world.engine {
        EngineStatus::Down { problem, .. } => problem.to_string(),
        _ => "the engine has not answered yet".to_owned(),
    }
}

/// Asks for a plan where one is due.
pub fn demand(state: &mut State, effects: &mut Vec<Effect>) {
    let now = state.now;
    let up = matches!(state.world.engine, EngineStatus::Up(_));
    let Some(form) = form_mut(state) else {
        return;
    };
    if form.plan.away && up {
        form.plan_now(now.mono);
    }
    if form.due().is_none_or(|due| due > now.mono) {
        return;
    }
    form.plan.due = None;
    if form.faulty().is_some() || form.spec().image.is_empty() {
        return;
    }
    let spec = Box::new(form.spec());
    let revision = form.revision;
    let Some(host) = HostNow::of(&state.world, now) else {
        let why = away(state);
        if let Some(form) = form_mut(state) {
            form.plan.away = true;
            form.plan.answer = Some((revision, now, Err(why)));
        }
        return advance(state, effects);
    };
    let id = state.launch.next_id();
    if let Some(form) = form_mut(state) {
        form.plan.away = false;
        form.plan.asked = Some((id, revision));
    }
    let host = Box::new(host);
    effects.push(Effect::PlanLaunch { id, spec, host });
}

/// A plan came. An answer to an older question is not looked at.
pub fn planned(
    state: &mut State,
    id: u64,
    result: Result<Box<Plan>, String>,
    effects: &mut Vec<Effect>,
) {
    let now = state.now;
    let Some(form) = form_mut(state) else {
        return;
    };
    let Some((_, revision)) = form.plan.asked.take_if(|(asked, _)| *asked == id) else {
        return;
    };
    let result = result.map_err(|why| crate::model::text::clean(&why, 400));
    form.plan.answer = Some((revision, now, result));
    advance(state, effects);
}

/// The user wants it to start.
pub fn start(state: &mut State, effects: &mut Vec<Effect>) {
    if crate::tui::update::refused(state) {
        return;
    }
    let now = state.now;
    let id = state.launch.next_id();
    let Some(form) = form_mut(state) else {
        return;
    };
    if form.phase != Phase::Edit {
        return;
    }
    if form.spec().image.is_empty() {
        form.go(Spot::Row(0));
        form.note = Some("it needs an image".to_owned());
        return;
    }
    if let Some(spot) = form.faulty() {
        form.go(spot);
        form.note = Some("this field cannot be read: mend it first".to_owned());
        return;
    }
    form.fault = None;
    form.note = None;
    form.allowed = Allowed::default();
    form.id = id;
    form.phase = Phase::Planning;
    let fresh = matches!(&form.plan.answer, Some((revision, at, Ok(_)))
        if *revision == form.revision && now.since(*at) < FRESH);
    if !fresh {
        form.plan_now(now.mono);
    }
    advance(state, effects);
}

/// The next step.
fn advance(state: &mut State, effects: &mut Vec<Effect>) {
    let Some(form) = form_mut(state) else {
        return;
    };
    if form.phase != Phase::Planning {
        return;
    }
    if let Some(why) = form.plan_error() {
        form.fault = Some(Problem {
            what: "nothing was started".to_owned(),
            why: why.to_owned(),
            remedy: String::new(),
        });
        return form.stop();
    }
    // Else its answer is on the way.
    let Some(plan) = form.current().cloned() else {
        return;
    };
    if let Some(conflict) = plan.conflicts.iter().find(|c| c.stops) {
        let spot = form.spot_of(conflict.field);
        form.stop();
        form.go(spot.unwrap_or(Spot::Launch));
        form.note = Some("it is not started: something stands in the way".to_owned());
        return;
    }
    let always = plan.spec.pull == Some(PullPolicy::Always);
    match plan.image.clone() {
        None if form.allowed.pulled => {
            form.stop();
            form.fault = Some(Problem {
                what: format!("{} was pulled and cannot be found", plan.spec.image),
                why: "the engine does not know it under this name".to_owned(),
                remedy: "Take its name from the Images view".to_owned(),
            });
        }
        None => pull(state, &plan, effects),
        Some(_) if always && !form.allowed.pulled => pull(state, &plan, effects),
        Some(image) if plan.scan_would_tell && !form.allowed.skip => {
            check(state, image, effects);
        }
        Some(_) => judge(state, plan, effects),
    }
}

fn pull(state: &mut State, plan: &Plan, effects: &mut Vec<Effect>) {
    let Some(form) = form_mut(state) else {
        return;
    };
    let reference = plan.spec.image.clone();
    form.cancelling = false;
    form.phase = Phase::Pulling(PullProgress {
        reference: reference.clone(),
        ..PullProgress::default()
    });
    effects.push(Effect::Pull {
        id: form.id,
        reference,
        platform: plan.spec.platform.clone(),
    });
}

/// Looks inside, as `c` does.
fn check(state: &mut State, image: ImageId, effects: &mut Vec<Effect>) {
    let subject = Subject::Image(image);
    let asked = state.verdicts.checks.ask(subject.clone());
    state.verdicts.touch();
    if asked == Asked::Start {
        effects.push(Effect::Check(subject.clone()));
    }
    if let Some(form) = form_mut(state) {
        form.own_check = asked != Asked::Already;
        form.cancelling = false;
        form.phase = Phase::Checking(subject);
    }
}

/// What the verdict says, and then the start.
fn judge(state: &mut State, plan: Plan, effects: &mut Vec<Effect>) {
    let now = state.now;
    let Some(form) = form_mut(state) else {
        return;
    };
    let answer = plan.decisive().map(|v| v.answer);
    let force = match answer {
        Some(Answer::Fails) if !form.allowed.force => true,
        Some(Answer::Limited) if !form.allowed.limited => false,
        _ => {
            let (id, force) = (form.id, form.allowed.force);
            let Some(host) = HostNow::of(&state.world, now) else {
                let why = away(state);
                if let Some(form) = form_mut(state) {
                    form.stop();
                    form.note = Some(why);
                }
                return;
            };
            if let Some(form) = form_mut(state) {
                form.cancelling = false;
                form.phase = Phase::Starting;
            }
            effects.push(Effect::Launch {
                id,
                plan: Box::new(plan),
                host: Box::new(host),
                force,
            });
            return;
        }
    };
    // The form waits; `No` leaves it as it is.
    form.phase = Phase::Edit;
    form.go(Spot::Launch);
    let question = match force {
        true => "It will not run on these GPUs. Start it all the same?",
        false => "It will run, not as it should. Start it?",
    };
    let ask = Ask::Launch {
        force,
        text: question.to_owned(),
        lines: plan.verdict.as_ref().map(text::reasons).unwrap_or_default(),
    };
    let confirm = Confirm::new(ask, now.mono);
    state.ui.layers.push(Layer::Confirm(confirm));
}

/// Yes to the question.
pub fn allow(state: &mut State, force: bool, effects: &mut Vec<Effect>) {
    let Some(form) = form_mut(state) else {
        return;
    };
    if force {
        form.allowed.force = true;
    } else {
        form.allowed.limited = true;
    }
    form.phase = Phase::Planning;
    advance(state, effects);
}

/// A start or pull tells how far it is.
pub fn stage(state: &mut State, id: u64, stage: Stage) {
    let Some(form) = form_mut(state).filter(|f| f.id == id) else {
        return;
    };
    match (stage, &mut form.phase) {
        (Stage::Pulling(progress), Phase::Pulling(shown)) => *shown = progress,
        (Stage::Pulling(progress), Phase::Starting) => form.phase = Phase::Pulling(progress),
        (Stage::Starting, Phase::Pulling(_)) => form.phase = Phase::Starting,
        _ => {}
    }
}

/// A pull ended.
pub fn pulled(state: &mut State, id: u64, result: Result<(), Problem>, effects: &mut Vec<Effect>) {
    let now = state.now.mono;
    // The list of images is another one now.
    state.images.asked = false;
    let Some(form) = form_mut(state).filter(|f| f.id == id) else {
        return;
    };
    match result {
        Ok(()) => {
            form.allowed.pulled = true;
            form.phase = Phase::Planning;
            form.plan_now(now);
            demand(state, effects);
        }
        Err(_) if form.cancelling => {
            form.stop();
            form.note = Some("the pull was stopped: nothing was started".to_owned());
        }
        Err(problem) => form.refuse(LaunchFault { problem, exit: 125 }),
    }
}

/// A check ended: where the start waited for it, it goes on.
pub fn checked(
    state: &mut State,
    subject: &Subject,
    fault: Option<&str>,
    effects: &mut Vec<Effect>,
) {
    let now = state.now.mono;
    let Some(form) = form_mut(state) else {
        return;
    };
    if form.phase != Phase::Checking(subject.clone()) {
        if fault.is_none()
            && form.last_plan().is_some_and(|p| {
                p.image.as_ref().map(|i| Subject::Image(i.clone())).as_ref() == Some(subject)
            })
        {
            // It was looked into meanwhile: the plan knows more.
            form.plan_now(now);
        }
        return;
    }
    if fault == Some(CANCELLED) {
        form.stop();
        form.note = Some("looking inside was stopped: nothing was started".to_owned());
        return;
    }
    // What could not be found out stays unknown, and that is no reason to look again and again.
    form.allowed.skip = true;
    form.phase = Phase::Planning;
    form.plan_now(now);
    if let Some(why) = fault {
        let text = format!("looking inside failed: {why}");
        state.jobs.toast(Tone::Warn, &text, state.now);
    }
    demand(state, effects);
}

/// A start ended.
pub fn launched(
    state: &mut State,
    id: u64,
    result: Result<Launched, LaunchFault>,
    effects: &mut Vec<Effect>,
) {
    let ours = |layer: &Layer| matches!(layer, Layer::Form(form) if form.id == id);
    let place = state.ui.layers.iter().position(ours);
    match (result, place) {
        (Ok(launched), Some(place)) => {
            // Help may lie above it.
            let form = state.ui.layers.drain(place..).next();
            if let Some(Layer::Form(form)) = form {
                after::launched(state, &form, launched, effects);
            }
        }
        (Ok(launched), None) => {
            let text = format!("{} was started", launched.name);
            state.jobs.toast(Tone::Good, &text, state.now);
        }
        (Err(fault), Some(_)) => {
            if let Some(form) = form_mut(state) {
                let cancelled = form.cancelling;
                form.refuse(fault);
                if cancelled {
                    form.fault = None;
                    form.note = Some("the start was stopped: nothing of it is left".to_owned());
                }
            }
        }
        (Err(fault), None) => {
            state
                .jobs
                .toast(Tone::Bad, &fault.problem.to_string(), state.now);
        }
    }
}

/// Stops what goes on; the form stays.
pub fn cancel(state: &mut State, effects: &mut Vec<Effect>) {
    let Some(form) = form_mut(state) else {
        return;
    };
    match form.phase.clone() {
        Phase::Edit => {}
        Phase::Planning => form.stop(),
        Phase::Pulling(_) | Phase::Starting => {
            if !std::mem::replace(&mut form.cancelling, true) {
                effects.push(Effect::CancelLaunch(form.id));
            }
        }
        Phase::Checking(subject) => {
            let own = form.own_check;
            form.stop();
            form.note = Some("looking inside was stopped: nothing was started".to_owned());
            if own {
                stop_check(state, subject, effects);
            }
        }
    }
}

/// Starts without looking inside.
pub fn skip(state: &mut State, effects: &mut Vec<Effect>) {
    let Some(form) = form_mut(state) else {
        return;
    };
    let Phase::Checking(subject) = form.phase.clone() else {
        return;
    };
    let own = form.own_check;
    form.allowed.skip = true;
    form.phase = Phase::Planning;
    if own {
        stop_check(state, subject, effects);
    }
    advance(state, effects);
}

fn stop_check(state: &mut State, subject: Subject, effects: &mut Vec<Effect>) {
    if state.verdicts.checks.stop(&subject) == Stopped::Tell {
        effects.push(Effect::CancelCheck(subject));
    }
    state.verdicts.touch();
}
