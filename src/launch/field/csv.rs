//! Fields between commas, as Docker reads `--mount`, `--gpus` and `--network`: a field with a comma or a quote
//! stands in double quotes, a quote inside is doubled (RFC 4180).

/// The fields.
///
/// # Errors
/// Nothing there, a quote in the middle of a field, one that is not closed.
pub fn split(text: &str) -> Result<Vec<String>, String> {
    if text.is_empty() {
        return Err("nothing is written there".to_owned());
    }
    let mut fields = Vec::new();
    let mut chars = text.chars().peekable();
    loop {
        let mut field = String::new();
        if chars.next_if_eq(&'"').is_some() {
            loop {
                match chars.next() {
                    Some('"') if chars.next_if_eq(&'"').is_some() => field.push('"'),
                    Some('"') => break,
                    Some(c) => field.push(c),
                    None => return Err("a double quote is not closed".to_owned()),
                }
            }
            if chars.peek().is_some_and(|c| *c != ',') {
                return Err(
                    "after a closing double quote comes a comma: quotes stand around the whole field, \
                     as in \"device=0,1\",capabilities=utility"
                        .to_owned(),
                );
            }
        } else {
            while let Some(c) = chars.next_if(|c| *c != ',') {
                match c {
                    '"' => {
                        return Err(
                            "a double quote stands inside a field: quotes stand around the whole field, \
                             as in \"device=0,1\""
                                .to_owned(),
                        );
                    }
                    '\n' | '\r' => return Err("a line end stands inside a field".to_owned()),
                    c => field.push(c),
                }
            }
        }
        fields.push(field);
        if chars.next().is_none() {
            return Ok(fields);
        }
    }
}

/// One text of these fields, that [`split`] takes apart again.
#[must_use]
pub fn join<'a>(fields: impl IntoIterator<Item = &'a str>) -> String {
    let fields: Vec<String> = fields
        .into_iter()
        .map(|field| {
            if field.contains(['"', ',', '\n', '\r']) {
                format!("\"{}\"", field.replace('"', "\"\""))
            } else {
                field.to_owned()
            }
        })
        .collect();
    if fields.len() == 1 && fields.iter().all(String::is_empty) {
        return "\"\"".to_owned();
    }
    fields.join(",")
}
