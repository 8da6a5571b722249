//! `midwatch explain`: what a rule of the verdict means.

use crate::model::Problem;
use crate::verdict::Rule;
use crate::verdict::explain::{RULES, explain};

use super::{Exit, complain, print};

/// Prints the rule.
///
/// # Errors
/// What goes wrong with standard output.
pub fn run(word: &str) -> Result<Exit, Problem> {
    let found = Rule::parse(word.trim()).and_then(explain);
    let Some(rule) = found else {
        let codes: Vec<String> = RULES.iter().map(|r| r.rule.to_string()).collect();
        complain(&Problem {
            what: "wrong usage".to_owned(),
            why: format!("there is no rule {}", crate::model::text::clean(word, 40)),
            remedy: format!("The rules are {}", codes.join(", ")),
        });
        return Ok(Exit::Usage);
    };
    print(rule.to_string().as_bytes())?;
    Ok(Exit::Done)
}
