//! Which GPUs a launch asks for, and the forms an engine takes the request in.

/// `--gpus`, or `--free`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpuAsk {
    /// Which.
    pub which: Which,
    /// Capabilities named beside `gpu` (`utility`, `compute`…), in order.
    pub capabilities: Vec<String>,
    /// `driver=` of the request; empty where there is none.
    pub driver: String,
    /// `options=` of the request.
    pub options: Vec<(String, String)>,
}

/// Which GPUs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// `all`.
    All,
    /// The first so many, busy or not: Docker's meaning.
    Count(u32),
    /// Indices, UUIDs, `GPU:MIG` pairs, as given.
    Devices(Vec<String>),
    /// `--free N`: so many that nobody uses.
    Free(u32),
}

impl GpuAsk {
    /// A plain request.
    #[must_use]
    pub fn of(which: Which) -> Self {
        Self {
            which,
            capabilities: Vec::new(),
            driver: String::new(),
            options: Vec::new(),
        }
    }
}

/// The request in the form that is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GpuRequest {
    /// A device request: `Count` -1 for all, else `DeviceIDs`.
    Device {
        /// Indices or UUIDs; empty where `count` says how many.
        ids: Vec<String>,
        /// -1 is all; 0 where `ids` says which.
        count: i64,
        /// Without `gpu` itself.
        capabilities: Vec<String>,
        /// Driver's name, mostly empty.
        driver: String,
        /// Options.
        options: Vec<(String, String)>,
    },
    /// A device request of the driver `cdi` with these names (`nvidia.com/gpu=…`).
    Cdi(Vec<String>),
    /// A runtime and `NVIDIA_VISIBLE_DEVICES`.
    Runtime {
        /// `nvidia`.
        name: String,
        /// The variable's value.
        visible: String,
        /// `NVIDIA_DRIVER_CAPABILITIES`, where capabilities were named.
        capabilities: Option<String>,
    },
}

impl GpuRequest {
    /// The request as Docker's own client would send it; `None` for [`Which::Free`], which has to be chosen
    /// first.
    #[must_use]
    pub fn plain(ask: &GpuAsk) -> Option<Self> {
        let (ids, count) = match &ask.which {
            Which::All => (Vec::new(), -1),
            Which::Count(count) => (Vec::new(), i64::from(*count)),
            Which::Devices(ids) => (ids.clone(), 0),
            Which::Free(_) => return None,
        };
        Some(Self::Device {
            ids,
            count,
            capabilities: ask.capabilities.clone(),
            driver: ask.driver.clone(),
            options: ask.options.clone(),
        })
    }
}
