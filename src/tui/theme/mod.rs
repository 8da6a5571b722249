//! Styles by role and the glyphs of bars and boxes; built-in themes are TOML files like a user's own.

mod glyphs;
mod style;

use std::path::Path;

use ratatui::style::{Modifier, Style};

pub use glyphs::{ASCII, Border, Glyphs, UNICODE, to_ascii};
pub use style::{ColorDepth, parse_style, reduce};

/// The built-in themes: name and file.
pub const BUILT_IN: &[(&str, &str)] = &[
    ("dark", include_str!("../../../assets/themes/dark.toml")),
    ("light", include_str!("../../../assets/themes/light.toml")),
    (
        "high-contrast",
        include_str!("../../../assets/themes/high-contrast.toml"),
    ),
    ("mono", include_str!("../../../assets/themes/mono.toml")),
];

macro_rules! roles {
    ($($(#[$doc:meta])* $field:ident, $name:literal;)+) => {
        /// What the screen is drawn with.
        #[derive(Debug, Clone, PartialEq)]
        pub struct Theme {
            $( $(#[$doc])* pub $field: Style, )+
            /// The characters.
            pub glyphs: Glyphs,
        }

        /// Every role's name in a theme file.
        pub const ROLES: &[&str] = &[$($name),+];

        impl Theme {
            /// No style at all.
            fn plain() -> Self {
                Self { $( $field: Style::new(), )+ glyphs: UNICODE }
            }

            fn set(&mut self, role: &str, style: Style) -> bool {
                match role {
                    $( $name => self.$field = style, )+
                    _ => return false,
                }
                true
            }

            /// Every role with its style.
            pub fn roles(&self) -> [(&'static str, Style); ROLES.len()] {
                [$( ($name, self.$field) ),+]
            }
        }
    };
}

roles! {
    /// Plain text.
    text, "text";
    /// Text that matters less: units, hints, absent values.
    dim, "dim";
    /// What stands out without being a state: names, the current tab.
    accent, "accent";
    /// Headings of panels.
    title, "title";
    /// Column heads.
    heading, "heading";
    /// Running, healthy, works.
    ok, "ok";
    /// Limited, hot, nearly full.
    warn, "warn";
    /// Failed, lost, killed.
    bad, "bad";
    /// News that is neither good nor bad.
    info, "info";
    /// The selected row of the panel in focus.
    selection, "selection";
    /// The selected row of a panel out of focus.
    selection_idle, "selection-idle";
    /// Marked rows.
    marked, "marked";
    /// A row whose state has just changed.
    changed, "changed";
    /// Data whose source is away.
    stale, "stale";
    /// The top line.
    header, "header";
    /// The bottom line's words.
    footer, "footer";
    /// The bottom line's keys, and keys in menus and help.
    key, "key";
    /// Borders.
    border, "border";
    /// The border of the panel in focus.
    border_focus, "border-focus";
    /// The full part of a bar.
    bar_full, "bar-full";
    /// The empty part of a bar.
    bar_empty, "bar-empty";
    /// A chart's first line (CPU, busy).
    chart_1, "chart-1";
    /// A chart's second line (memory).
    chart_2, "chart-2";
    /// A chart's third line (power).
    chart_3, "chart-3";
    /// A chart's fourth line (temperature).
    chart_4, "chart-4";
    /// What a search or filter found.
    search_match, "search-match";
    /// The match the search stands on.
    search_current, "search-current";
    /// A text field.
    input, "input";
    /// The ground of dialogs.
    dialog, "dialog";
}

/// Why a theme could not be had; one line for the user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ThemeError(pub String);

/// What the terminal can show, as far as its environment tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Colours.
    pub depth: ColorDepth,
    /// Whether it shows UTF-8.
    pub unicode: bool,
}

impl Capabilities {
    /// Reads `NO_COLOR`, `COLORTERM`, `TERM`, `LC_ALL`, `LC_CTYPE` and `LANG` (the first of those three
    /// that is set and not empty decides, as in POSIX).
    pub fn detect(env: impl Fn(&str) -> Option<String>) -> Self {
        let get = |name: &str| env(name).filter(|value| !value.is_empty());
        let term = get("TERM").unwrap_or_default();
        let direct = matches!(get("COLORTERM").as_deref(), Some("truecolor" | "24bit"))
            || term.ends_with("-direct");
        let depth = if get("NO_COLOR").is_some() || term == "dumb" || term.starts_with("vt1") {
            ColorDepth::Mono
        } else if direct {
            ColorDepth::True
        } else if term.contains("256color") || is_rich(&term) {
            ColorDepth::Ansi256
        } else {
            ColorDepth::Ansi16
        };
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(get);
        let unicode = locale.is_some_and(|name| {
            let name = name.to_ascii_lowercase();
            name.contains("utf-8") || name.contains("utf8")
        });
        // The Linux console shows UTF-8 but its font has neither braille nor block parts.
        Self {
            depth,
            unicode: unicode && term != "linux",
        }
    }
}

/// Terminals that have 256 colours and do not say so in `TERM`.
fn is_rich(term: &str) -> bool {
    [
        "alacritty",
        "foot",
        "kitty",
        "wezterm",
        "ghostty",
        "contour",
    ]
    .iter()
    .any(|name| term.contains(name))
}

impl Theme {
    /// The built-in theme of that name.
    pub fn built_in(name: &str) -> Option<Self> {
        let (name, text) = BUILT_IN.iter().find(|(n, _)| *n == name)?;
        Self::parse(text, name).ok()
    }

    /// Reads a theme file; `origin` names it in errors. Roles that it leaves out are as in `base` if it
    /// names one (`base = "dark"`), else without style.
    pub fn parse(text: &str, origin: &str) -> Result<Self, ThemeError> {
        let at = |span: Option<std::ops::Range<usize>>| match span {
            Some(span) => format!("{origin}:{}", super::config::line_of(text, span.start)),
            None => origin.to_owned(),
        };
        let document = toml::de::DeTable::parse(text)
            .map_err(|e| ThemeError(format!("{}: {}", at(e.span()), e.message())))?;
        let mut theme = Self::plain();
        if let Some(base) = document.get_ref().get("base") {
            let name = base.get_ref().as_str().unwrap_or_default();
            theme = (origin != name)
                .then(|| Self::built_in(name))
                .flatten()
                .ok_or_else(|| {
                    ThemeError(format!(
                        "{}: no built-in theme {name:?}",
                        at(Some(base.span()))
                    ))
                })?;
        }
        for (key, value) in document.get_ref() {
            let role: &str = key.get_ref();
            if role == "base" {
                continue;
            }
            let Some(words) = value.get_ref().as_str() else {
                let place = at(Some(value.span()));
                return Err(ThemeError(format!("{place}: {role} must be a text")));
            };
            let style = parse_style(words)
                .map_err(|why| ThemeError(format!("{}: {role}: {why}", at(Some(value.span())))))?;
            if !theme.set(role, style) {
                let place = at(Some(key.span()));
                let near = super::keymap::nearest(role, ROLES.iter().copied())
                    .map_or_else(String::new, |name| format!(" (did you mean {name:?}?)"));
                return Err(ThemeError(format!("{place}: no role {role:?}{near}")));
            }
        }
        Ok(theme)
    }

    /// The theme called `name`: a built-in one, else `DIR/themes/NAME.toml`, else that path itself.
    pub fn load(name: &str, config_dir: Option<&Path>) -> Result<Self, ThemeError> {
        if let Some(theme) = Self::built_in(name) {
            return Ok(theme);
        }
        let in_dir = config_dir.map(|dir| dir.join("themes").join(format!("{name}.toml")));
        let path = match &in_dir {
            Some(path) if path.exists() => path.as_path(),
            _ => Path::new(name),
        };
        let text = std::fs::read_to_string(path).map_err(|_| {
            let names: Vec<&str> = BUILT_IN.iter().map(|(n, _)| *n).collect();
            ThemeError(format!(
                "no theme {name:?}: neither built in ({}) nor a file",
                names.join(", ")
            ))
        })?;
        Self::parse(&text, &path.display().to_string())
    }

    /// The theme as this terminal can show it: without colours the `mono` roles' modifiers stand in.
    pub fn adapted(mut self, capabilities: Capabilities) -> Self {
        if capabilities.depth == ColorDepth::Mono
            && let Some(mono) = Self::built_in("mono")
        {
            let glyphs = self.glyphs;
            self = mono;
            self.glyphs = glyphs;
        }
        if !capabilities.unicode {
            self.glyphs = ASCII;
        }
        self
    }
}

impl Default for Theme {
    fn default() -> Self {
        Self::built_in("dark").unwrap_or_else(|| {
            let mut theme = Self::plain();
            theme.selection = theme.selection.add_modifier(Modifier::REVERSED);
            theme
        })
    }
}

#[cfg(test)]
mod tests {
    use ratatui::style::Color;

    use super::*;

    #[test]
    fn every_built_in_theme_parses_and_names_every_role() {
        for (name, text) in BUILT_IN {
            let theme = Theme::parse(text, name).unwrap();
            let table: toml::Table = text.parse().unwrap();
            for role in ROLES {
                assert!(table.contains_key(*role), "{name} has no {role}");
            }
            assert_ne!(theme.selection, theme.text, "{name}");
            assert_eq!(theme.roles().len(), ROLES.len());
        }
    }

    #[test]
    fn mono_has_no_colour_and_still_tells_states_apart() {
        let mono = Theme::built_in("mono").unwrap();
        for (role, style) in mono.roles() {
            let none = |c: Option<Color>| c.is_none_or(|c| c == Color::Reset);
            assert!(none(style.fg) && none(style.bg), "{role}");
        }
        for (a, b) in [
            (mono.selection, mono.text),
            (mono.bad, mono.ok),
            (mono.marked, mono.text),
            (mono.search_current, mono.search_match),
        ] {
            assert_ne!(a, b);
        }
    }

    #[test]
    fn errors_name_line_and_nearest() {
        let error = Theme::parse("text = \"white\"\nselction = \"red\"\n", "my.toml").unwrap_err();
        assert_eq!(
            error.0,
            "my.toml:2: no role \"selction\" (did you mean \"selection\"?)"
        );
        let error = Theme::parse("\ntext = \"gren\"", "my.toml").unwrap_err();
        assert_eq!(
            error.0,
            "my.toml:2: text: unknown colour \"gren\" (did you mean \"green\"?)"
        );
        let error = Theme::parse("text = 3", "t").unwrap_err();
        assert_eq!(error.0, "t:1: text must be a text");
        assert!(Theme::parse("base = \"nope\"", "t").is_err());
        assert!(
            Theme::parse("text = ", "t")
                .unwrap_err()
                .0
                .starts_with("t:1")
        );
        let based = Theme::parse("base = \"dark\"\ntext = \"red\"", "t").unwrap();
        assert_eq!(based.selection, Theme::default().selection);
        assert_eq!(based.text.fg, Some(Color::Red));
    }

    #[test]
    fn capabilities_are_read_from_the_environment() {
        let detect = |pairs: &[(&str, &str)]| {
            Capabilities::detect(|name| {
                let found = pairs.iter().find(|(n, _)| *n == name);
                found.map(|(_, v)| (*v).to_owned())
            })
        };
        let utf8 = ("LANG", "en_US.UTF-8");
        assert_eq!(
            detect(&[("TERM", "xterm-256color"), utf8]).depth,
            ColorDepth::Ansi256
        );
        assert_eq!(detect(&[("TERM", "xterm"), utf8]).depth, ColorDepth::Ansi16);
        assert_eq!(
            detect(&[("TERM", "xterm"), ("COLORTERM", "truecolor")]).depth,
            ColorDepth::True
        );
        assert_eq!(
            detect(&[("TERM", "xterm-256color"), ("NO_COLOR", "1")]).depth,
            ColorDepth::Mono
        );
        // An empty NO_COLOR does not count (no-color.org).
        assert_ne!(
            detect(&[("TERM", "xterm"), ("NO_COLOR", "")]).depth,
            ColorDepth::Mono
        );
        assert!(detect(&[utf8]).unicode);
        assert!(!detect(&[utf8, ("LC_ALL", "C")]).unicode);
        assert!(detect(&[("LC_ALL", ""), ("LC_CTYPE", "C.utf8")]).unicode);
        assert!(!detect(&[("TERM", "linux"), utf8]).unicode);
        assert!(!detect(&[]).unicode);
    }
}
