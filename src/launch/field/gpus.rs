//! `--gpus`.

use std::fmt;

use super::{csv, said, shown};
use crate::launch::{GpuAsk, Which};

/// One field's meaning, while they are gathered.
#[derive(Default)]
struct Gathered {
    which: Option<Which>,
    capabilities: Option<Vec<String>>,
    driver: Option<String>,
    options: Option<Vec<(String, String)>>,
}

impl GpuAsk {
    /// `all`, `2`, `device=0,1`, `"device=0,1",capabilities=utility`, `free=2` (midwatch's own).
    ///
    /// Docker's rules, with two things read that Docker always refuses: commas of a list of devices or
    /// capabilities need no quotes of their own. A negative count is all of them, 0 is none, nothing said is 1.
    ///
    /// # Errors
    /// A key twice or unknown, a count and devices together, a bare list of numbers (which Docker reads as
    /// counts, the last one valid).
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut found = Gathered::default();
        let mut last = "";
        for field in csv::split(text)? {
            let Some((key, value)) = field.split_once('=') else {
                last = found.bare(&field, last)?;
                continue;
            };
            last = found.keyed(key, value)?;
        }
        Ok(Self {
            which: found.which.unwrap_or(Which::Count(1)),
            capabilities: found.capabilities.unwrap_or_default(),
            driver: found.driver.unwrap_or_default(),
            options: found.options.unwrap_or_default(),
        })
    }

    /// The flag and its value; `--free N` where free ones are asked for and nothing else is said of them.
    #[must_use]
    pub fn to_flag(&self) -> [String; 2] {
        match self.which {
            Which::Free(count) if *self == Self::of(Which::Free(count)) => {
                ["--free".to_owned(), count.to_string()]
            }
            _ => ["--gpus".to_owned(), self.to_string()],
        }
    }
}

impl Gathered {
    fn set(&mut self, which: Which) -> Result<(), String> {
        let both = match (&self.which, &which) {
            (None, _) => {
                self.which = Some(which);
                return Ok(());
            }
            (Some(Which::Devices(_)), Which::Devices(_)) => false,
            (Some(Which::Devices(_)), _) | (Some(_), Which::Devices(_)) => true,
            _ => false,
        };
        Err(if both {
            "a number of GPUs and their names cannot both be given: write 2, or \"device=0,1\""
                .to_owned()
        } else {
            "which GPUs is said twice: write all, 2, or \"device=0,1\"".to_owned()
        })
    }

    /// A field without `=`; `last` is the key of the list it may belong to.
    fn bare(&mut self, field: &str, last: &'static str) -> Result<&'static str, String> {
        if last == "device" && field != "all" {
            if let Some(Which::Devices(ids)) = &mut self.which {
                ids.push(device(field)?);
            }
            return Ok(last);
        }
        match count(field) {
            Some(Which::Count(_)) if last == "count" => Err(
                "numbers with commas are counts to Docker: for GPUs by index write \"device=0,1\""
                    .to_owned(),
            ),
            Some(which) => {
                self.set(which)?;
                Ok("count")
            }
            None if last == "capabilities" && !field.is_empty() => {
                if let Some(list) = &mut self.capabilities {
                    list.push(field.to_owned());
                }
                Ok(last)
            }
            None if field.starts_with("GPU-") || field.starts_with("MIG-") => Err(format!(
                "write device={} for a GPU by its UUID",
                shown(field)
            )),
            None => Err(format!(
                "{} is no GPU request: write all, 2, \"device=0,1\" or device=UUID",
                said(field)
            )),
        }
    }

    fn keyed(&mut self, key: &str, value: &str) -> Result<&'static str, String> {
        let twice = || Err(format!("{key}= is said twice"));
        match key {
            "count" => {
                let Some(which) = count(value) else {
                    return Err(format!(
                        "{} is no number of GPUs: count=2 or count=all",
                        said(value)
                    ));
                };
                self.set(which)?;
                Ok("count")
            }
            "free" => {
                let Ok(count) = value.parse() else {
                    return Err(format!("{} is no number of GPUs: free=2", said(value)));
                };
                self.set(Which::Free(count))?;
                Ok("count")
            }
            "device" => {
                let ids = value.split(',').map(device).collect::<Result<_, _>>()?;
                self.set(Which::Devices(ids))?;
                Ok("device")
            }
            "driver" if self.driver.is_none() => {
                self.driver = Some(value.to_owned());
                Ok("driver")
            }
            "capabilities" if self.capabilities.is_none() => {
                if value.split(',').any(str::is_empty) {
                    return Err("a capability is a word: capabilities=utility".to_owned());
                }
                self.capabilities = Some(value.split(',').map(str::to_owned).collect());
                Ok("capabilities")
            }
            "options" if self.options.is_none() => {
                let pairs = csv::split(value)?
                    .into_iter()
                    .map(|pair| match pair.split_once('=') {
                        Some((key, value)) => (key.to_owned(), value.to_owned()),
                        None => (pair, String::new()),
                    })
                    .collect();
                self.options = Some(pairs);
                Ok("options")
            }
            "driver" | "capabilities" | "options" => twice(),
            _ => Err(format!(
                "there is no {} in a GPU request: device=, count=, capabilities=, driver= or options=",
                said(key)
            )),
        }
    }
}

fn device(id: &str) -> Result<String, String> {
    if id.is_empty() {
        return Err("a GPU is named by index or UUID: device=0 or device=GPU-…".to_owned());
    }
    Ok(id.to_owned())
}

fn count(text: &str) -> Option<Which> {
    if text == "all" {
        return Some(Which::All);
    }
    let count: i64 = text.parse().ok()?;
    if count < 0 {
        return Some(Which::All);
    }
    u32::try_from(count).ok().map(Which::Count)
}

impl fmt::Display for GpuAsk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = vec![match &self.which {
            Which::All => "all".to_owned(),
            Which::Count(count) => count.to_string(),
            Which::Devices(ids) => format!("device={}", ids.join(",")),
            Which::Free(count) => format!("free={count}"),
        }];
        if !self.capabilities.is_empty() {
            fields.push(format!("capabilities={}", self.capabilities.join(",")));
        }
        if !self.driver.is_empty() {
            fields.push(format!("driver={}", self.driver));
        }
        if !self.options.is_empty() {
            let pairs: Vec<String> = self
                .options
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            let pairs = csv::join(pairs.iter().map(String::as_str));
            fields.push(format!("options={pairs}"));
        }
        f.write_str(&csv::join(fields.iter().map(String::as_str)))
    }
}
