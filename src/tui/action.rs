//! Everything a key can ask for, as data: a name for the configuration file, a line for the help.

use serde::{Deserialize, Serialize};

/// Where the help lists an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Group {
    /// Moving about.
    Move,
    /// Which page or tab is shown.
    View,
    /// What the list shows and how.
    List,
    /// What is done to containers.
    Container,
    /// The log.
    Logs,
    /// GPUs and their processes.
    Gpu,
    /// The program itself.
    Program,
}

macro_rules! actions {
    ($($(#[$doc:meta])* $variant:ident, $name:literal, $group:ident, $help:literal;)+) => {
        /// What a key can ask for. In the configuration file it goes by its kebab-case name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Action { $( #[doc = $help] $variant, )+ }

        impl Action {
            /// Every action, in the order of the help.
            pub const ALL: &[Action] = &[$(Action::$variant),+];

            /// Its name in the configuration file.
            pub fn name(self) -> &'static str { match self { $(Action::$variant => $name),+ } }

            /// The action of that name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Action::$variant),)+ _ => None }
            }

            /// Where the help lists it.
            pub fn group(self) -> Group { match self { $(Action::$variant => Group::$group),+ } }

            /// Its line in the help.
            pub fn help(self) -> &'static str { match self { $(Action::$variant => $help),+ } }
        }
    };
}

actions! {
    Up, "up", Move, "up";
    Down, "down", Move, "down";
    PageUp, "page-up", Move, "a page up";
    PageDown, "page-down", Move, "a page down";
    First, "first", Move, "first row";
    Last, "last", Move, "last row";
    Left, "left", Move, "left; fold a project; charts of the hour";
    Right, "right", Move, "right; unfold; charts of five minutes";
    FocusNext, "focus-next", Move, "focus the next panel";
    FocusPrevious, "focus-previous", Move, "focus the previous panel";
    Enter, "enter", Move, "open the details, or confirm";
    Back, "back", Move, "back, close, clear";
    PageContainers, "page-containers", View, "Containers view";
    PageGpus, "page-gpus", View, "GPUs view";
    PageImages, "page-images", View, "Images view";
    TabNext, "tab-next", View, "next tab of the details";
    TabPrevious, "tab-previous", View, "previous tab of the details";
    TabCharts, "tab-charts", View, "Charts tab";
    TabLogs, "tab-logs", View, "Logs tab";
    TabProcesses, "tab-processes", View, "Processes tab";
    TabVerdict, "tab-verdict", View, "Verdict tab: whether it runs here";
    TabInspect, "tab-inspect", View, "Inspect tab";
    TabEnv, "tab-env", View, "Env tab";
    Zoom, "zoom", View, "details over the whole screen and back";
    Filter, "filter", List, "filter the list";
    Sort, "sort", List, "choose the sort column";
    SortReverse, "sort-reverse", List, "reverse the sort order";
    Columns, "columns", List, "choose the columns";
    ToggleStopped, "toggle-stopped", List, "show or hide stopped containers";
    Mark, "mark", List, "mark this container";
    MarkAll, "mark-all", List, "mark every container shown";
    MarkProject, "mark-project", List, "mark its whole Compose project";
    ClearMarks, "clear-marks", List, "clear the marks";
    ActionMenu, "action-menu", Container, "actions for this or the marked containers";
    Start, "start", Container, "start";
    Stop, "stop", Container, "stop, with a chosen timeout";
    Restart, "restart", Container, "restart";
    PauseToggle, "pause-toggle", Container, "pause or unpause";
    Kill, "kill", Container, "kill with a chosen signal";
    Remove, "remove", Container, "remove";
    Rename, "rename", Container, "rename";
    Shell, "shell", Container, "open a shell in it";
    Launch, "launch", Container, "launch from this image: the form";
    Launches, "launches", Container, "launch again: the last ones, presets";
    FormStart, "form-start", Container, "start it";
    FormAdd, "form-add", Container, "one more of this field";
    FormRemove, "form-remove", Container, "remove or empty this field";
    FormMend, "form-mend", Container, "mend what stands in the way";
    FormSave, "form-save", Container, "keep the form as a preset";
    Build, "build", Container, "build an image from a project folder";
    Check, "check", Container, "look inside its image: will it run?";
    CheckContainer, "check-container", Container, "look inside its own file system";
    ToggleSecrets, "toggle-secrets", Container, "show or mask secret values";
    LogFollow, "log-follow", Logs, "follow the end, or stop following";
    LogSearch, "log-search", Logs, "search";
    LogFilter, "log-filter", Logs, "show matching lines alone (regex)";
    LogNext, "log-next", Logs, "next match";
    LogPrevious, "log-previous", Logs, "previous match";
    LogTimestamps, "log-timestamps", Logs, "timestamps on or off";
    LogWrap, "log-wrap", Logs, "wrap long lines or cut them";
    LogSince, "log-since", Logs, "choose since when";
    LogSave, "log-save", Logs, "save to a file";
    LogMerge, "log-merge", Logs, "merge the logs of the marked containers";
    AllProcesses, "all-processes", Gpu, "the processes of all GPUs, or of the selected one";
    KillProcess, "kill-process", Gpu, "kill a GPU process";
    ReleaseGpus, "release-gpus", Gpu, "let go of NVML (for a GPU reset or driver upgrade), and take it again";
    Copy, "copy", Program, "copy (OSC 52: works over SSH)";
    MouseToggle, "mouse-toggle", Program, "mouse on or off";
    Refresh, "refresh", Program, "ask the engine for the whole list again";
    Redraw, "redraw", Program, "draw the screen anew";
    SavePreferences, "save-preferences", Program, "save columns, sort and view to the preferences file";
    Suspend, "suspend", Program, "suspend (fg brings it back)";
    Help, "help", Program, "this help";
    Quit, "quit", Program, "quit";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kebab_case_unique_and_what_serde_reads() {
        let mut seen = std::collections::HashSet::new();
        for action in Action::ALL {
            assert!(seen.insert(action.name()), "{} twice", action.name());
            assert_eq!(Action::from_name(action.name()), Some(*action));
            let json = serde_json::to_string(action).unwrap();
            assert_eq!(json, format!("\"{}\"", action.name()));
            assert!(!action.help().is_empty());
        }
    }
}
