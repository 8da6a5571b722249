//! Text from containers, made safe and bounded: frames to lines, `\r`, colours, search. Pure.

use crate::model::ContainerKey;

/// What the Logs tab asks of the log service.
#[derive(Debug, Clone, PartialEq)]
pub enum LogCommand {
    /// Follow these containers' logs (several: merged), closing what was open.
    Open(Vec<ContainerKey>),
    /// Close.
    Close,
}
