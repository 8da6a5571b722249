//! What an NVML error says: of one metric, of the whole GPU, for how long, and in which words.

use nvml_wrapper::error::NvmlError;

use crate::model::GpuState;

/// The metric is not to be had for as long as NVML stays open.
pub(super) fn is_for_ever(error: &NvmlError) -> bool {
    matches!(
        error,
        NvmlError::NotSupported
            | NvmlError::FunctionNotFound
            | NvmlError::FailedToLoadSymbol(_)
            // Struct version unknown to this driver; deprecated and taken away.
            | NvmlError::UnexpectedVariant(25 | 26)
    )
}

/// No further call to this GPU makes sense in this visit.
pub(super) fn ends_visit(error: &NvmlError) -> bool {
    matches!(
        error,
        NvmlError::GpuLost
            | NvmlError::ResetRequired
            | NvmlError::Uninitialized
            | NvmlError::InvalidArg
            | NvmlError::UnexpectedVariant(28)
    )
}

/// The error is about the GPU, not about one metric.
pub(super) fn blames_gpu(error: &NvmlError) -> bool {
    !matches!(
        error,
        NvmlError::NotFound | NvmlError::NoData | NvmlError::UnexpectedVariant(_)
    )
}

/// The state that an error of the whole GPU means.
pub(super) fn state_for(error: &NvmlError) -> GpuState {
    match error {
        NvmlError::GpuLost => GpuState::Lost(
            "the driver says that it has fallen off the bus or cannot be reached".to_owned(),
        ),
        NvmlError::UnexpectedVariant(28) => {
            GpuState::Lost("the driver no longer finds it".to_owned())
        }
        NvmlError::ResetRequired => GpuState::Error(
            "it must be reset before use: sudo nvidia-smi --gpu-reset -i INDEX".to_owned(),
        ),
        NvmlError::NoPermission => {
            GpuState::Error("no permission to use it (check its /dev/nvidia* device)".to_owned())
        }
        NvmlError::OperatingSystem => GpuState::Error(
            "the operating system's device rules keep us from it (cgroup)".to_owned(),
        ),
        NvmlError::InsufficientPower => GpuState::Error(
            "its power cables are not connected properly".to_owned(),
        ),
        NvmlError::IrqIssue => GpuState::Error("the kernel has trouble with its interrupts".to_owned()),
        NvmlError::InvalidArg | NvmlError::Uninitialized => {
            GpuState::Error("the driver no longer knows its handle; it is being looked up anew".to_owned())
        }
        NvmlError::UnexpectedVariant(code) => {
            GpuState::Error(format!("the driver answers with code {code}"))
        }
        NvmlError::Unknown => GpuState::Error(
            "the driver answers \"unknown error\" to everything (its devices may have been taken away)".to_owned(),
        ),
        error => GpuState::Error(format!("the driver answers \"{error}\"")),
    }
}
