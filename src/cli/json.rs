//! What the JSON documents share. Every key is always there; what is not known is `null`.

use serde::{Serialize, Serializer};

use crate::model::{EngineInfo, EngineStatus, Problem};

/// A document's bytes, ended by a newline.
///
/// # Errors
/// None that these documents can cause; said rather than hidden.
pub fn document(value: &impl Serialize) -> Result<Vec<u8>, Problem> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|error| Problem {
        what: "cannot write the JSON document".to_owned(),
        why: error.to_string(),
        remedy: String::new(),
    })?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// The engine, as `ps` tells it.
#[derive(Debug, Serialize)]
pub struct EngineJson<'a> {
    name: Option<&'a str>,
    version: Option<&'a str>,
    api_version: Option<&'a str>,
    endpoint: Option<&'a str>,
}

impl<'a> EngineJson<'a> {
    /// What is known of the engine.
    pub fn of(status: &'a EngineStatus) -> Self {
        let info: Option<&EngineInfo> = match status {
            EngineStatus::Up(info) => Some(info),
            EngineStatus::Down { info, .. } => info.as_ref(),
            EngineStatus::Connecting { .. } => None,
        };
        let told = |field: fn(&EngineInfo) -> &str| info.map(field).filter(|text| !text.is_empty());
        Self {
            name: told(|i| &i.name),
            version: told(|i| &i.version),
            api_version: told(|i| &i.api_version),
            endpoint: told(|i| &i.endpoint),
        }
    }
}

/// Writes a measured value with two decimals: the rest is noise.
pub fn two_decimals<S: Serializer>(value: &Option<f64>, out: S) -> Result<S::Ok, S::Error> {
    match value.filter(|v| v.is_finite()) {
        Some(value) => out.serialize_f64((value * 100.0).round() / 100.0),
        None => out.serialize_none(),
    }
}
