//! What an image is called where nobody named it. Pure.

use std::path::Path;

/// Longest name.
const MAX: usize = 60;

/// A folder's name as an image's: small letters and digits, one `-`, `_` or `.` between them
/// (`My AI_API` is `my-ai_api`); a folder without any is `image`.
pub fn of_folder(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let mut out = String::new();
    let mut between = String::new();
    for c in name.chars() {
        if c.is_ascii_alphanumeric() {
            if !out.is_empty() && !between.is_empty() {
                out.push_str(match between.as_str() {
                    "_" => "_",
                    "." => ".",
                    _ => "-",
                });
            }
            between.clear();
            out.push(c.to_ascii_lowercase());
        } else {
            between.push(c);
        }
        if out.len() >= MAX {
            break;
        }
    }
    if out.is_empty() {
        out.push_str("image");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_become_valid_names() {
        for (folder, want) in [
            ("/home/ada/my-ai-api", "my-ai-api"),
            ("/x/My AI_API", "my-ai_api"),
            ("/x/v1.2", "v1.2"),
            ("/x/--a..b__c--", "a-b-c"),
            ("/x/été", "t"),
            ("/x/日本", "image"),
            ("/", "image"),
        ] {
            assert_eq!(of_folder(Path::new(folder)), want, "{folder}");
        }
        assert!(of_folder(Path::new(&"a b".repeat(100))).len() <= MAX + 2);
    }
}
