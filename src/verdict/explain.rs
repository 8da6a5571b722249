//! What each rule means: behind `midwatch explain`, and the page `assets/rules.md`.

use std::fmt;
use std::fmt::Write as _;

use super::finding::Rule;

/// A rule, explained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explained {
    /// Its code.
    pub rule: Rule,
    /// Its name, as in the table of rules.
    pub name: &'static str,
    /// How bad it can be.
    pub outcome: &'static str,
    /// What it means, in one paragraph.
    pub text: &'static str,
    /// What the user sees.
    pub seen: &'static str,
    /// What to do.
    pub remedy: &'static str,
    /// An example: image and host.
    pub example: &'static str,
    /// What a check says of it.
    pub output: &'static str,
}

/// The explanation of a rule.
pub fn explain(rule: Rule) -> Option<&'static Explained> {
    RULES.iter().find(|explained| explained.rule == rule)
}

impl fmt::Display for Explained {
    /// As `midwatch explain` prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}: {}", self.rule, self.name, self.outcome)?;
        writeln!(f, "\n{}", self.text)?;
        writeln!(f, "\nWhat you see: {}", self.seen)?;
        writeln!(f, "\nWhat to do: {}", self.remedy)?;
        writeln!(f, "\nExample: {}", self.example)?;
        writeln!(f, "  {}", self.output)
    }
}

/// The page `assets/rules.md`: every rule, generated from the same words.
pub fn page() -> String {
    let mut page = String::from(
        "# The rules of the CUDA verdict\n\n\
         The worst finding decides: an error means that the image fails, a warning that it is limited, an info that \
         it works. A rule that lacks a fact makes the answer unknown. Codes are for ever. `midwatch explain MW102` \
         prints one of them. This page is generated; `MIDWATCH_WRITE_PAGE=1 cargo test --lib verdict::tests::explain` \
         writes it anew.\n\n| code | name | outcome |\n|---|---|---|\n",
    );
    for rule in RULES {
        let _ = writeln!(page, "| {} | {} | {} |", rule.rule, rule.name, rule.outcome);
    }
    for rule in RULES {
        let _ = write!(
            page,
            "\n## {} {}\n\n{}\n\n- What you see: {}\n- What to do: {}\n- Example: {}\n\n```\n{}\n```\n",
            rule.rule, rule.name, rule.text, rule.seen, rule.remedy, rule.example, rule.output
        );
    }
    page
}

/// Every rule of the verdict, by code.
pub const RULES: &[Explained] = &[
    Explained {
        rule: Rule(101),
        name: "requirement-unsatisfied",
        outcome: "error under the legacy hook, info under CDI",
        text: "Images of NVIDIA state in NVIDIA_REQUIRE_* which drivers and GPUs they are made for: a CUDA version, or certain driver branches of certain brands. The legacy hook tests this for every GPU and refuses to start the container. With CDI, the default of the nvidia runtime from toolkit 1.18 and of `docker run --gpus` from Docker 29.2 where the CDI hook is there, nothing tests it: the container starts, and the other rules decide whether CUDA works in it.",
        seen: "docker run fails at once with `nvidia-container-cli: requirement error: unsatisfied condition: cuda>=12.8, please update your driver to a newer version, or use an earlier cuda container`.",
        remedy: "upgrade the driver, use an older image, or, where minor-version compatibility carries the CUDA in it, start it with `-e NVIDIA_DISABLE_REQUIRE=1`.",
        example: "nvidia/cuda:12.8.1-base on an RTX 3090 with driver 535.183.01, legacy hook",
        output: "MW101 error: driver 535.183.01 (CUDA 12.2) does not meet NVIDIA_REQUIRE_CUDA: cuda>=12.8",
    },
    Explained {
        rule: Rule(102),
        name: "driver-too-old",
        outcome: "error",
        text: "A driver runs programs of its own CUDA major and of all older ones, never of a newer major. Within a major from 11 on, a newer minor runs too, from a lowest driver on (450.80.02 for CUDA 11, 525.60.13 for 12, 580.65.06 for 13); CUDA 10 and older need a driver of the same minor or newer. What counts is the libcuda in effect: the host's, or the image's forward-compatibility library.",
        seen: "error 35, `CUDA driver version is insufficient for CUDA runtime version`. PyTorch only warns, says `torch.cuda.is_available()` is False, and trains on the CPU.",
        remedy: "upgrade the driver to at least the lowest one named, install a build for an older CUDA, or on data-center GPUs add cuda-compat.",
        example: "torch 2.15.0+cu132 (CUDA 13.2) on an A100 with driver 535.274.02",
        output: "MW102 error: driver 535.274.02 (CUDA 12.2) is too old for torch 2.15.0+cu132: it needs CUDA 13.2",
    },
    Explained {
        rule: Rule(103),
        name: "minor-version-compatibility",
        outcome: "info; warning where something in the image compiles PTX at run time",
        text: "The image needs a newer minor of a CUDA major that the driver supports, and the driver is above that major's floor: it works, as long as the program has compiled code for the GPU. PTX written by the newer CUDA is not covered: what compiles kernels at run time (numba, CuPy's NVRTC) ends in error 222 unless it makes machine code itself, as Triton does.",
        seen: "nothing, mostly; with run-time compilation error 222, `the provided PTX was compiled with an unsupported toolchain`.",
        remedy: "nothing, or for full function a driver of that CUDA.",
        example: "torch 2.6.0+cu124 on an H100 with driver 535.183.01",
        output: "MW103 info: torch 2.6.0+cu124 needs CUDA 12.4; driver 535.183.01 (CUDA 12.2) carries it by minor-version compatibility",
    },
    Explained {
        rule: Rule(104),
        name: "forward-compatibility",
        outcome: "info; warning where the host's branch is out of the support matrix",
        text: "The image brings the user half of a newer driver (cuda-compat), it is in effect, and this host's GPU and driver branch may use it: programs of that CUDA run on the older kernel driver, run-time compilation included. Branches that the package or the image names, but NVIDIA's matrix no longer does, work in practice and are out of support.",
        seen: "nothing: `nvidia-smi` in the container shows the higher CUDA version.",
        remedy: "nothing; out of support, plan for a driver of a long-term branch.",
        example: "nvidia/cuda:12.8.1-base on an A100 with driver 535.274.02, legacy hook",
        output: "MW104 info: forward compatibility carries it: the image's libcuda of driver 570.124.06 is in effect",
    },
    Explained {
        rule: Rule(105),
        name: "forward-compatibility-unsupported",
        outcome: "error",
        text: "Only the image's forward-compatibility library could carry it, as its CUDA is of a newer major than the driver's, and this host may not use that library: the GPU is a GeForce or TITAN, or the driver's branch is not one that the package accepts.",
        seen: "error 804, `forward compatibility was attempted on non supported HW`, or 803, `system has unsupported display driver / cuda driver combination`.",
        remedy: "upgrade the driver, or use an image of an older CUDA.",
        example: "nvidia/cuda:13.1.1-base on an RTX 4090 with driver 550.163.01, CDI",
        output: "MW105 error: only the image's compat library could carry it, and it is not supported on this host: driver 550.163.01 (CUDA 12.4)",
    },
    Explained {
        rule: Rule(106),
        name: "compat-forced",
        outcome: "error where the branch does not fit (803), warning on GeForce and TITAN (804)",
        text: "A forward-compatibility library is in effect although the host's own would carry the image, and this host may not use it. The container toolkit compares driver versions alone and never looks at the GPU's brand, so that a GeForce gets the library of any newer nvidia/cuda image; LD_LIBRARY_PATH may force it without any check.",
        seen: "error 804 or 803 in an image that would otherwise run.",
        remedy: "hide the folder (`--mount type=tmpfs,dst=/usr/local/cuda/compat`), take it out of LD_LIBRARY_PATH, or set cuda-compat-mode to disabled for the legacy hook.",
        example: "nvidia/cuda:12.4.1-base on an RTX 3090 with driver 535.183.01, legacy hook",
        output: "MW106 warning: forward compatibility is in effect on a GPU that it is not offered for; it may end in error 804",
    },
    Explained {
        rule: Rule(107),
        name: "ptx-too-new",
        outcome: "error; warning where it is a part of the code",
        text: "No compiled code serves this GPU, only PTX, and the driver's compiler does not know that version of PTX: a driver of CUDA X.Y compiles the PTX of CUDA X.Y and older. Minor-version compatibility does not cover it; a forward-compatibility library does.",
        seen: "error 222, `the provided PTX was compiled with an unsupported toolchain`.",
        remedy: "a driver of that CUDA, or a build with compiled code for this GPU.",
        example: "a program with sm_80 and PTX 8.4 for compute_80 on an H100 with driver 535.183.01",
        output: "MW107 error: /app/program has only PTX 8.4 for H100 (sm_90), and this driver cannot compile it",
    },
    Explained {
        rule: Rule(108),
        name: "driver-does-not-know-gpu",
        outcome: "error",
        text: "Each GPU generation begins with a driver branch, and old ones end with one: Blackwell begins with 570, Kepler ends with 470, and Maxwell, Pascal and Volta end with 580. On any other branch the GPU is not seen at all, whatever the image. It is judged for hosts that are named; what NVML lists on a real host is known to its driver.",
        seen: "`nvidia-smi` does not list the GPU; error 100, `no CUDA-capable device is detected`.",
        remedy: "a driver branch that knows the GPU.",
        example: "torch 2.6.0+cu124 on an RTX 5090 with driver 550.163.01",
        output: "MW108 error: driver 550.163.01 (CUDA 12.4) does not know RTX 5090: Blackwell begins with branch 570",
    },
    Explained {
        rule: Rule(201),
        name: "no-kernel-image",
        outcome: "error; warning in a part of a framework; info where kernels for other GPUs alone are left out",
        text: "The framework's main library has neither compiled code nor usable PTX for this GPU. Compiled code runs on its own major and the same or a higher minor: sm_80 on 8.6 and 8.9, never on 9.0; sm_90a and the like on that very chip alone; and to and from Jetson exactly. It is counted over the containers of the library, one for each source file: stray code in a few of them does not make a build for a GPU.",
        seen: "error 209, `no kernel image is available for execution on the device`, at the first kernel: `is_available()` is True before.",
        remedy: "a build for this GPU.",
        example: "torch 2.5.1+cu124 on an RTX 5090 with driver 570.124.06",
        output: "MW201 error: torch 2.5.1+cu124 has no code for RTX 5090 (sm_120)",
    },
    Explained {
        rule: Rule(202),
        name: "jit-only",
        outcome: "warning",
        text: "For this GPU there is PTX alone, which the driver compiles at the first start. That takes minutes for a large library, and the compiled code lies in ~/.nv/ComputeCache, which dies with the container.",
        seen: "a long silence at every first start.",
        remedy: "keep the cache in a volume: `-v cuda-cache:/root/.nv/ComputeCache -e CUDA_CACHE_MAXSIZE=4294967296`; or use a build with compiled code for this GPU.",
        example: "a program with sm_80 and PTX 8.4 for compute_80 on an H100 with driver 550.163.01",
        output: "MW202 warning: /app/program has no compiled code for H100 (sm_90): its PTX is compiled at the first start",
    },
    Explained {
        rule: Rule(203),
        name: "gpu-dropped",
        outcome: "error",
        text: "A CUDA major compiles for the GPUs of its time: CUDA 13 no longer for Maxwell, Pascal and Volta, CUDA 12 no longer for Kepler. The driver may know both the CUDA and the GPU (580 does), and still nothing built with that CUDA has code for it. Where the files show code for the GPU, they decide.",
        seen: "error 209, `no kernel image is available for execution on the device`.",
        remedy: "an image or wheel of the last CUDA for this GPU: for Volta `pip install torch --index-url https://download.pytorch.org/whl/cu126`.",
        example: "torch 2.15.0+cu132 on a V100 with driver 580.95.05",
        output: "MW203 error: CUDA 13 no longer supports V100: 12.9 was the last for Volta",
    },
    Explained {
        rule: Rule(204),
        name: "some-gpus-only",
        outcome: "warning",
        text: "On this host the image works on some GPUs and not on others. With all of them given, a program may take one that fails.",
        seen: "an error that comes and goes with the GPU that is chosen.",
        remedy: "give the GPUs that are served, by their ids: `--gpus '\"device=GPU-…\"'`.",
        example: "torch 2.6.0+cu124 on a host with an A100 and an RTX 5090, driver 580.95.05",
        output: "MW204 warning: it works on some of this host's GPUs alone: A100",
    },
    Explained {
        rule: Rule(301),
        name: "cpu-only-framework",
        outcome: "warning",
        text: "PyTorch, TensorFlow or JAX in the image is built without CUDA. It runs, silently on the CPU. PyTorch wheels for arm64 on PyPI are CPU builds up to 2.10; tensorflow-cpu and jaxlib without its CUDA plugin are always.",
        seen: "no error: `torch.cuda.is_available()` is False, and training is fifty times slower.",
        remedy: "install the CUDA build: `pip install torch --index-url https://download.pytorch.org/whl/cu126`, `pip install 'tensorflow[and-cuda]'`, `pip install 'jax[cuda12]'`.",
        example: "torch 2.6.0+cpu on an A100 with driver 550.163.01",
        output: "MW301 warning: torch 2.6.0+cpu is built for the CPU alone",
    },
    Explained {
        rule: Rule(302),
        name: "several-runtimes",
        outcome: "info; warning where one hides another's library",
        text: "Several CUDA runtimes in one image are common and harmless, since their file names differ by major. Libraries whose names do not (libcudnn.so.9, libnccl.so.2, libcusolver.so.11) are another matter: where the library path finds another CUDA's build first, the framework loads the wrong one.",
        seen: "`undefined symbol`, `CUDNN_STATUS_NOT_INITIALIZED`, or a version that is not the installed one.",
        remedy: "take the folder out of LD_LIBRARY_PATH: wheels find their own libraries without it.",
        example: "CUDA 11.8 under /usr/local and CUDA 12.4 in torch's wheels, on an A100 with driver 550.163.01",
        output: "MW302 info: several CUDA runtimes are in the image; their names differ, so each program finds its own",
    },
    Explained {
        rule: Rule(303),
        name: "stub-on-path",
        outcome: "error with libcuda.so.1, warning with libcuda.so alone",
        text: "CUDA's development packages contain a stub of libcuda to link against. Where its folder is on LD_LIBRARY_PATH and has a libcuda.so.1, programs load the stub in place of the driver's library. LIBRARY_PATH, which the compiler alone reads, does not count.",
        seen: "error 34, `CUDA driver is a stub library`.",
        remedy: "take the stubs folder out of the library path.",
        example: "LD_LIBRARY_PATH=/usr/local/cuda/lib64/stubs with a libcuda.so.1 in it, on an A100",
        output: "MW303 error: a stub libcuda.so.1 is searched before the driver's",
    },
    Explained {
        rule: Rule(304),
        name: "driver-library-in-image",
        outcome: "error where newer than the host's driver, warning where older, info where equal or empty",
        text: "A libcuda of a certain driver was installed into the image. The loader takes the newest file of that name, so that one newer than the host's driver is loaded in its place and does not fit the kernel's half. Empty files are what `docker commit` leaves of a container with GPUs.",
        seen: "error 803, `system has unsupported display driver / cuda driver combination`, or `Driver/library version mismatch`.",
        remedy: "remove the files in a derived image, and install no driver packages in images.",
        example: "libcuda.so.560.35.03 in the image, on an A100 with driver 550.163.01",
        output: "MW304 error: a driver library 560.35.03 is part of the image: it may be loaded instead of the host's",
    },
    Explained {
        rule: Rule(305),
        name: "musl",
        outcome: "error",
        text: "CUDA's libraries and the driver's are built for glibc. In an image with musl (Alpine) none of them loads.",
        seen: "`Error loading shared library`, `symbol not found`, or `No such file or directory` for a file that exists.",
        remedy: "begin from debian, ubuntu or nvidia/cuda.",
        example: "torch 2.6.0+cu124 in an Alpine image, on an A100 with driver 550.163.01",
        output: "MW305 error: CUDA in an image without glibc (musl): neither CUDA nor the driver's libraries load",
    },
    Explained {
        rule: Rule(306),
        name: "rocm-build",
        outcome: "error",
        text: "The framework is built for AMD's ROCm. On an NVIDIA GPU it finds no device.",
        seen: "`torch.cuda.is_available()` is False; `torch.version.hip` is set.",
        remedy: "install the CUDA build.",
        example: "torch 2.6.0+rocm6.2 on an A100 with driver 550.163.01",
        output: "MW306 error: torch is built for AMD (ROCm 6.2), not for NVIDIA",
    },
    Explained {
        rule: Rule(307),
        name: "platform-mismatch",
        outcome: "error",
        text: "The image is for another CPU architecture than this host's. An emulator may start it; the GPU stays out of reach.",
        seen: "`exec format error`, or a very slow program without GPU.",
        remedy: "pull or build it for this host: `docker pull --platform linux/amd64 IMAGE`.",
        example: "an image for linux/arm64 on a host of linux/amd64",
        output: "MW307 error: the image is for linux/arm64, this host is linux/amd64",
    },
    Explained {
        rule: Rule(308),
        name: "missing-cuda-libraries",
        outcome: "warning",
        text: "The framework is a CUDA build, and libraries that it needs are not in the image: ONNX Runtime without cuDNN, TensorFlow's wheel without the [and-cuda] extra. Most fall back to the CPU with a line in the log; PyTorch does not import.",
        seen: "`Could not load dynamic library`, `Cannot dlopen some GPU libraries`, `CUDAExecutionProvider is not available`.",
        remedy: "install what is named: `pip install 'onnxruntime-gpu[cuda,cudnn]'`, `pip install 'tensorflow[and-cuda]'`, or begin from an nvidia/cuda cudnn image.",
        example: "onnxruntime 1.20.1 without libcudnn.so.9, on an A100 with driver 550.163.01",
        output: "MW308 warning: onnxruntime needs libraries that are not in the image: libcudnn.so.9",
    },
    Explained {
        rule: Rule(401),
        name: "no-gpu-runtime",
        outcome: "error",
        text: "It is proven that this engine cannot give GPUs to containers: it refused, or has neither the nvidia runtime, nor CDI devices, nor the hook. It is a fact of the host, whatever the image.",
        seen: "`could not select device driver \"\" with capabilities: [[gpu]]`.",
        remedy: "install the NVIDIA Container Toolkit, then `sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker`.",
        example: "any CUDA image on an engine that refused `--gpus all`",
        output: "MW401 error: this engine cannot give GPUs to containers",
    },
    Explained {
        rule: Rule(402),
        name: "devices-void",
        outcome: "warning",
        text: "NVIDIA_VISIBLE_DEVICES is void or empty, and nothing else grants a GPU: the nvidia runtime then gives none. With `none` the driver's libraries get in without a GPU. Under CDI `void` is normal: the engine sets it.",
        seen: "error 35 or 100 in a container that was started with the nvidia runtime.",
        remedy: "start it with `--gpus all`, or `-e NVIDIA_VISIBLE_DEVICES=all`.",
        example: "an image with NVIDIA_VISIBLE_DEVICES=void, on an A100, legacy hook",
        output: "MW402 warning: NVIDIA_VISIBLE_DEVICES=void asks for no GPU",
    },
    Explained {
        rule: Rule(403),
        name: "capabilities-lack-compute",
        outcome: "error under the legacy hook, info under CDI",
        text: "NVIDIA_DRIVER_CAPABILITIES says which parts of the driver get into the container. Without compute there is no libcuda in it. Unset or empty it is utility and compute; `all` is everything. CDI does not look at it.",
        seen: "error 35 in a container in which nvidia-smi works.",
        remedy: "`-e NVIDIA_DRIVER_CAPABILITIES=compute,utility`.",
        example: "an image with NVIDIA_DRIVER_CAPABILITIES=utility, on an A100, legacy hook",
        output: "MW403 error: NVIDIA_DRIVER_CAPABILITIES=utility lacks compute",
    },
    Explained {
        rule: Rule(404),
        name: "small-shm",
        outcome: "warning, at launch",
        text: "Data-loader workers hand their batches over in /dev/shm, which has 64 MiB in a container unless more is asked for.",
        seen: "a worker dies with `Bus error`, or `unable to write to file </torch_…>`, often hours into a run.",
        remedy: "`--shm-size=8g`, or `--ipc=host`.",
        example: "torch 2.6.0 launched without --shm-size",
        output: "MW404 warning: /dev/shm is 64 MiB, and torch shares batches between its workers there",
    },
];
