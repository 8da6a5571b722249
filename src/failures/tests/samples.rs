//! Lines as they are seen in the wild, each with the failure that it shows; and lines that show none.

/// In the engine's error.
pub(super) const REFUSED: &[(&str, &str)] = &[
    (
        "refused.user",
        "Unable to find group nogrp: no matching entries in group file",
    ),
    (
        "refused.memory",
        "Minimum memoryswap limit should be larger than memory limit, see usage",
    ),
    (
        "refused.container",
        "cannot join PID of a non running container: nope: No such container: nope",
    ),
    (
        "refused.container",
        "could not get container for nope: No such container: nope",
    ),
    ("refused.no_command", "No command specified"),
    (
        "refused.cpus",
        "Requested CPUs are not available - requested 900, available: 0-1",
    ),
    (
        "refused.not_executable",
        r#"failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "/etc": permission denied: unknown"#,
    ),
    (
        "refused.mount_type",
        r#"failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: error mounting "/tmp" to rootfs at "/etc/passwd": mount /tmp:/etc/passwd (via /proc/self/fd/6), flags: 0x5000: not a directory: unknown: Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type"#,
    ),
    (
        "refused.image",
        "invalid reference format: repository name (library/UPPER) must be lowercase",
    ),
    (
        "docker.no_gpu_driver",
        r#"could not select device driver "" with capabilities: [[gpu]]"#,
    ),
    (
        "docker.no_gpu_driver",
        r#"Error response from daemon: could not select device driver "nvidia" with capabilities: [[compute gpu utility]]"#,
    ),
    (
        "docker.no_gpu_driver",
        r#"could not select device driver "nvidia" with capabilities: [[gpu]]"#,
    ),
    (
        "docker.no_cdi_driver",
        r#"could not select device driver "cdi" with capabilities: []"#,
    ),
    (
        "docker.unknown_runtime",
        "unknown or invalid runtime name: nvidia",
    ),
    ("docker.unknown_runtime", "Unknown runtime specified nvidia"),
    (
        "docker.runtime_path",
        r#"failed to create task for container: failed to create shim task: OCI runtime create failed: unable to retrieve OCI runtime error: fork/exec /usr/bin/nvidia-container-runtime: no such file or directory: unknown"#,
    ),
    (
        "cdi.unresolvable",
        "could not apply CDI: CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=all",
    ),
    (
        "cdi.unresolvable",
        "failed to create task for container: CDI device injection failed: unresolvable CDI devices runtime.nvidia.com/gpu=all: unknown",
    ),
    (
        "cdi.mig_stale",
        "CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=MIG-5a3c9b1e-0c9f-5b7e-8d2d-1f6b7c1a2b3c",
    ),
    (
        "cdi.mig_stale",
        "CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=0:1",
    ),
    (
        "cdi.stale_spec",
        r#"OCI runtime create failed: runc create failed: unable to start container process: error during container init: error mounting "/usr/lib/x86_64-linux-gnu/libcuda.so.550.54.15" to rootfs: no such file or directory: unknown"#,
    ),
    (
        "cdi.persistenced_socket",
        r#"error mounting "/run/nvidia-persistenced/socket" to rootfs at "/run/nvidia-persistenced/socket": /run/nvidia-persistenced/socket: mount point does not exist"#,
    ),
    (
        "cdi.generate_failed",
        "failed to generate CDI spec: failed to create device CDI specs: failed to initialize NVML: Driver Not Loaded",
    ),
    (
        "podman.diff",
        r#"Error: setting up CDI devices: unresolvable CDI devices nvidia.com/gpu=all"#,
    ),
    (
        "nvc.libnvidia_ml_missing",
        "OCI runtime create failed: runc create failed: unable to start container process: error during container init: error running prestart hook #0: exit status 1, stdout: , stderr: Auto-detected mode as 'legacy'\nnvidia-container-cli: initialization error: load library failed: libnvidia-ml.so.1: cannot open shared object file: no such file or directory: unknown",
    ),
    (
        "nvc.driver_not_loaded",
        "nvidia-container-cli: initialization error: nvml error: driver not loaded: unknown",
    ),
    (
        "nvc.version_mismatch",
        "nvidia-container-cli: initialization error: nvml error: driver/library version mismatch: unknown",
    ),
    (
        "nvc.bpf_cgroup",
        "nvidia-container-cli: mount error: failed to add device rules: unable to find any existing device filters attached to the cgroup: bpf_prog_query(BPF_CGROUP_DEVICE) failed: operation not permitted: unknown",
    ),
    (
        "nvc.unknown_device",
        "nvidia-container-cli: device error: 3: unknown device: unknown",
    ),
    (
        "nvc.require_unsatisfied",
        "nvidia-container-cli: requirement error: unsatisfied condition: cuda>=12.4, please update your driver to a newer version, or use an earlier cuda container: unknown",
    ),
    (
        "nvc.require_invalid",
        "nvidia-container-cli: requirement error: invalid expression",
    ),
    (
        "nvc.file_exists_wsl",
        "nvidia-container-cli: mount error: file creation failed: /var/lib/docker/overlay2/0a1b/merged/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1: file exists: unknown",
    ),
    (
        "nvc.persistenced_socket",
        "nvidia-container-cli: mount error: file creation failed: /var/lib/docker/overlay2/0a1b/merged/run/nvidia-persistenced/socket: no such device or address: unknown",
    ),
    (
        "nvc.driver_error",
        "nvidia-container-cli: initialization error: driver error: failed to process request",
    ),
    (
        "hook.legacy_ldconfig",
        "nvidia-container-cli: ldcache error: open failed: /sbin/ldconfig.real: no such file or directory: unknown",
    ),
    (
        "env.visible_devices_unprivileged",
        "insufficient privileges to read device list from NVIDIA_VISIBLE_DEVICES envvar",
    ),
    (
        "wsl.no_driver",
        "/usr/lib/wsl/lib/libcuda.so.1: cannot open shared object file: No such file or directory",
    ),
    (
        "refused.port",
        "driver failed programming external connectivity on endpoint api (0a1b): Bind for 0.0.0.0:7860 failed: port is already allocated",
    ),
    (
        "refused.port",
        "failed to set up container networking: driver failed programming external connectivity on endpoint x: failed to bind host port 0.0.0.0:80/tcp: address already in use",
    ),
    (
        "refused.port",
        "driver failed programming external connectivity on endpoint api (0a1b): Error starting userland proxy: listen tcp4 0.0.0.0:8000: bind: address already in use",
    ),
    (
        "refused.privileged_port",
        "driver failed programming external connectivity on endpoint web (0a1b): error while calling PortManager.AddPort(): cannot expose privileged port 80, you can add 'net.ipv4.ip_unprivileged_port_start=80' to /etc/sysctl.conf (currently 1024), or set CAP_NET_BIND_SERVICE on rootlesskit binary, or choose a larger port number (>= 1024): listen tcp4 0.0.0.0:80: bind: permission denied",
    ),
    (
        "refused.name",
        r#"Conflict. The container name "/trainer" is already in use by container "0a1b2c". You have to remove (or rename) that container to be able to reuse that name."#,
    ),
    (
        "refused.name",
        r#"creating container storage: the container name "trainer" is already in use by 0a1b2c. You have to remove that container to be able to reuse that name: that name is already in use"#,
    ),
    ("refused.image", "No such image: my-train:0.4"),
    (
        "refused.image",
        "manifest for nvidia/cuda:12.4.0-base-ubuntu22.04x not found: manifest unknown: manifest unknown",
    ),
    ("refused.image", "invalid reference format"),
    (
        "refused.platform",
        "no matching manifest for linux/arm64/v8 in the manifest list entries",
    ),
    (
        "refused.platform",
        "image with reference python:3.12 was found but its platform (linux/amd64) does not match the specified platform (linux/arm64)",
    ),
    (
        "refused.pull_login",
        "pull access denied for my-train, repository does not exist or may require 'docker login': denied: requested access to the resource is denied",
    ),
    (
        "refused.pull_login",
        "Head \"https://nvcr.io/v2/nvidia/x/manifests/1\": unauthorized: authentication required",
    ),
    (
        "refused.pull_rate",
        "toomanyrequests: You have reached your unauthenticated pull rate limit. https://www.docker.com/increase-rate-limit",
    ),
    (
        "refused.mount_source",
        r#"invalid mount config for type "bind": bind source path does not exist: /data/imagenet"#,
    ),
    (
        "refused.mount_source",
        "statfs /data/imagenet: no such file or directory",
    ),
    (
        "refused.mount_invalid",
        r#"invalid mount config for type "bind": invalid mount path: 'data' mount path must be absolute"#,
    ),
    ("refused.mount_invalid", "Duplicate mount point: /data"),
    (
        "refused.mount_type",
        r#"OCI runtime create failed: runc create failed: unable to start container process: error during container init: error mounting "/srv/config.json" to rootfs at "/app/config.json": mount src=/srv/config.json, dst=/app/config.json, dstFd=/proc/thread-self/fd/8, flags=0x5000: not a directory: unknown: Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type"#,
    ),
    ("refused.network", "network trainnet not found"),
    (
        "refused.device",
        r#"error gathering device information while adding custom device "/dev/nvidia7": no such file or directory"#,
    ),
    ("refused.memory", "Minimum memory limit allowed is 6MB"),
    (
        "refused.cpus",
        "Range of CPUs is from 0.01 to 16.00, as there are only 16 CPUs available",
    ),
    ("refused.shm", "SHM size can not be less than 0"),
    (
        "refused.rlimit",
        "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: error setting rlimits for ready process: error setting rlimit type 8: operation not permitted: unknown",
    ),
    (
        "refused.cgroup",
        "OCI runtime create failed: runc create failed: unable to start container process: unable to apply cgroup configuration: mkdir /sys/fs/cgroup/docker/0a1b: read-only file system: unknown",
    ),
    (
        "refused.user",
        "unable to find user app: no matching entries in passwd file",
    ),
    (
        "refused.workdir",
        "the working directory 'app' is invalid, it needs to be an absolute path",
    ),
    (
        "refused.requires_newer_api",
        r#""specify health-check start interval" requires API version 1.44, but the Docker daemon API version is 1.41"#,
    ),
    (
        "exec.format",
        "OCI runtime create failed: runc create failed: unable to start container process: exec /usr/local/bin/python: exec format error",
    ),
    (
        "exec.no_nvidia_smi",
        r#"OCI runtime create failed: runc create failed: unable to start container process: error during container init: exec: "nvidia-smi": executable file not found in $PATH: unknown"#,
    ),
    (
        "refused.not_found",
        r#"failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "uvicorn": executable file not found in $PATH: unknown"#,
    ),
    (
        "refused.not_found",
        r#"OCI runtime create failed: runc create failed: unable to start container process: exec: "/entrypoint.sh": stat /entrypoint.sh: no such file or directory: unknown"#,
    ),
    (
        "refused.not_executable",
        r#"OCI runtime create failed: runc create failed: unable to start container process: exec: "/start.sh": permission denied: unknown"#,
    ),
    (
        "refused.not_executable",
        r#"OCI runtime create failed: unable to start container process: exec: "/app": is a directory: unknown"#,
    ),
    (
        "docker.api_too_old",
        "client version 1.24 is too old. Minimum supported API version is 1.44, please upgrade your client to a newer version",
    ),
    (
        "docker.api_too_old",
        "client version 1.52 is too new. Maximum supported API version is 1.41",
    ),
    (
        "docker.sock_permission",
        "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: Get \"http://%2Fvar%2Frun%2Fdocker.sock/v1.24/containers/json\": dial unix /var/run/docker.sock: connect: permission denied",
    ),
    (
        "docker.sock_permission",
        "permission denied while trying to connect to the docker API at unix:///var/run/docker.sock",
    ),
    (
        "docker.not_running",
        "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
    ),
    (
        "docker.daemon_json",
        "unable to configure the Docker daemon with file /etc/docker/daemon.json: invalid character '}' looking for beginning of object key string",
    ),
    (
        "docker.snap",
        "OCI runtime create failed: /snap/docker/2963/bin/runc did not terminate successfully",
    ),
    ("docker.desktop_linux", "docker-desktop: no GPU adapters"),
    (
        "docker.cgroup_lost",
        "open device /dev/nvidia0: cgroup denies it: Operation not permitted: nvidia",
    ),
    (
        "disk.full",
        "failed to register layer: write /usr/local/lib/python3.10/site-packages/torch/lib/libtorch_cuda.so: no space left on device",
    ),
];

/// In the log of a container that ended with 1.
pub(super) const LOGGED: &[(&str, &str)] = &[
    (
        "nvc.driver_not_loaded",
        "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest NVIDIA driver is installed and running.",
    ),
    (
        "nvc.version_mismatch",
        "Failed to initialize NVML: Driver/library version mismatch",
    ),
    (
        "nvml.unknown_error_cgroup",
        "Failed to initialize NVML: Unknown Error",
    ),
    (
        "nvml.insufficient_permissions",
        "Failed to initialize NVML: Insufficient Permissions",
    ),
    (
        "wsl.no_driver",
        "Failed to initialize NVML: GPU access blocked by the operating system",
    ),
    (
        "cuda.2",
        "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB (GPU 0; 23.65 GiB total capacity; 21.10 GiB already allocated; 1.20 GiB free; 21.30 GiB reserved in total by PyTorch)",
    ),
    (
        "cuda.2",
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 108.00 MiB. GPU 0 has a total capacity of 79.11 GiB of which 20.88 MiB is free.",
    ),
    ("cuda.2", "RuntimeError: CUDA error: out of memory"),
    (
        "cuda.2",
        "jaxlib.xla_extension.XlaRuntimeError: RESOURCE_EXHAUSTED: Out of memory while trying to allocate 17179869184 bytes.",
    ),
    (
        "cuda.2",
        "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 4096.00 MiB on device 0: cudaMalloc failed: out of memory",
    ),
    (
        "vllm.gpu_memory",
        "ValueError: Free memory on device (10.5/79.11 GiB) on startup is less than desired GPU memory utilization (0.9, 71.2 GiB). Decrease GPU memory utilization or reduce GPU memory used by other processes.",
    ),
    (
        "vllm.gpu_memory",
        "ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization` when initializing the engine.",
    ),
    ("cuda.3", "RuntimeError: CUDA error: initialization error"),
    (
        "cuda.3",
        "RuntimeError: Cannot re-initialize CUDA in forked subprocess. To use CUDA with multiprocessing, you must use the 'spawn' start method",
    ),
    ("cuda.34", "RuntimeError: CUDA driver is a stub library"),
    (
        "cuda.35",
        "RuntimeError: The NVIDIA driver on your system is too old (found version 11040). Please update your GPU driver",
    ),
    (
        "cuda.35",
        "CUDA driver version is insufficient for CUDA runtime version",
    ),
    (
        "cuda.36",
        "CUDA error: API call is not supported in the installed CUDA driver",
    ),
    (
        "cuda.46",
        "RuntimeError: CUDA error: CUDA-capable device(s) is/are busy or unavailable",
    ),
    (
        "cuda.46",
        "RuntimeError: CUDA error: all CUDA-capable devices are busy or unavailable",
    ),
    (
        "cuda.100",
        "RuntimeError: No CUDA GPUs are available: no CUDA-capable device is detected",
    ),
    (
        "cuda.101",
        "RuntimeError: CUDA error: invalid device ordinal",
    ),
    (
        "cuda.200",
        "RuntimeError: CUDA error: device kernel image is invalid",
    ),
    (
        "cuda.209",
        "RuntimeError: CUDA error: no kernel image is available for execution on the device",
    ),
    (
        "torch.sm_not_compatible",
        "NVIDIA GeForce RTX 5090 with CUDA capability sm_120 is not compatible with the current PyTorch installation.",
    ),
    (
        "ggml.no_arch",
        "ggml_cuda_compute_forward: ggml was not compiled with any CUDA arch <= 700",
    ),
    (
        "ggml.no_arch",
        "/build/ggml-cuda/mmq.cu:125: ERROR: CUDA kernel mul_mat_q has no device code compatible with CUDA arch 500. ggml-cuda.cu was compiled for: 750",
    ),
    (
        "cuda.214",
        "RuntimeError: CUDA error: uncorrectable ECC error encountered",
    ),
    ("cuda.218", "CUDA error 218: a PTX JIT compilation failed"),
    (
        "cuda.221",
        "RuntimeError: CUDA error: PTX JIT compiler library not found",
    ),
    (
        "cuda.222",
        "RuntimeError: CUDA error: the provided PTX was compiled with an unsupported toolchain.",
    ),
    ("cuda.227", "Loader version is insufficient for fatbin"),
    (
        "cuda.304",
        "CUDA error: OS call failed or operation not supported on this OS",
    ),
    (
        "cuda.700",
        "RuntimeError: CUDA error: an illegal memory access was encountered",
    ),
    (
        "cuda.702",
        "RuntimeError: CUDA error: the launch timed out and was terminated",
    ),
    (
        "cuda.710",
        "RuntimeError: CUDA error: device-side assert triggered",
    ),
    (
        "cuda.719",
        "RuntimeError: CUDA error: unspecified launch failure",
    ),
    (
        "cuda.800",
        "RuntimeError: CUDA error: operation not permitted",
    ),
    (
        "cuda.801",
        "RuntimeError: CUDA error: operation not supported",
    ),
    (
        "cuda.802",
        "RuntimeError: Unexpected error from cudaGetDeviceCount(). Error 802: system not yet initialized",
    ),
    ("cuda.802", "[[ System not yet initialized (error 802) ]]"),
    (
        "cuda.803",
        "[[ System has unsupported display driver / cuda driver combination (error 803) ]]",
    ),
    (
        "cuda.803",
        "RuntimeError: Unexpected error from cudaGetDeviceCount(). Error 803: system has unsupported display driver / cuda driver combination",
    ),
    (
        "cuda.804",
        "UserWarning: CUDA initialization: Unexpected error from cudaGetDeviceCount(). Error 804: forward compatibility was attempted on non supported HW",
    ),
    (
        "cuda.805",
        "CUDA error: MPS client failed to connect to the MPS control daemon or the MPS server",
    ),
    (
        "cuda.919",
        "GPU fabric is not ready within the probe wait budget",
    ),
    (
        "cuda.999",
        "RuntimeError: CUDA unknown error - this may be due to an incorrectly set up environment, e.g. changing env variable CUDA_VISIBLE_DEVICES after program start.",
    ),
    (
        "torch.no_cuda_build",
        "AssertionError: Torch not compiled with CUDA enabled",
    ),
    (
        "torch.no_driver",
        "RuntimeError: Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU and installed a driver",
    ),
    (
        "cudnn.mismatch",
        "RuntimeError: cuDNN version incompatibility: PyTorch was compiled  against (8, 9, 2) but found runtime version (8, 5, 0). PyTorch already comes with bundled cuDNN.",
    ),
    (
        "lib.missing",
        "OSError: libcudart.so.11.0: cannot open shared object file: No such file or directory",
    ),
    (
        "lib.missing",
        "ImportError: libcudnn.so.9: cannot open shared object file: No such file or directory",
    ),
    (
        "glibc.too_old",
        "/app/server: /lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.34' not found (required by /app/server)",
    ),
    (
        "tf.no_gpu_libs",
        "W tensorflow/core/common_runtime/gpu/gpu_device.cc:2251] Cannot dlopen some GPU libraries. Please make sure the missing libraries mentioned above are installed properly",
    ),
    (
        "shm.nccl",
        "box:120:187 [0] include/shm.h:28 NCCL WARN Call to posix_fallocate failed : No space left on device",
    ),
    (
        "shm.nccl",
        "box:120:187 [0] misc/shmutils.cc:72 NCCL WARN Error: failed to extend /dev/shm/nccl-XkG2Yy to 9637892 bytes",
    ),
    (
        "shm.nccl",
        "NCCL WARN Error while creating shared memory segment /dev/shm/nccl-XkG2Yy (size 9637888)",
    ),
    (
        "shm.dataloader",
        "RuntimeError: DataLoader worker (pid 4129) is killed by signal: Bus error. It is possible that dataloader's workers are out of shared memory.",
    ),
    (
        "shm.dataloader",
        "ERROR: Unexpected bus error encountered in worker. This might be caused by insufficient shared memory (shm).",
    ),
    (
        "nccl.unhandled_system",
        "RuntimeError: NCCL error in: ../torch/csrc/distributed/c10d/ProcessGroupNCCL.cpp:1331, unhandled system error, NCCL version 2.19.3",
    ),
    (
        "nccl.unhandled_system",
        "ncclSystemError: System call (e.g. socket, malloc) or external library call failed or device error.",
    ),
    (
        "nccl.unhandled_cuda",
        "torch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:2251, unhandled cuda error (run with NCCL_DEBUG=INFO for details), NCCL version 2.26.2",
    ),
    (
        "nccl.duplicate_gpu",
        "box:88:88 [0] init.cc:1004 NCCL WARN Duplicate GPU detected : rank 0 and rank 1 both on CUDA device 1000",
    ),
    (
        "nccl.memlock",
        "NCCL WARN Call to ibv_create_cq failed with error Cannot allocate memory",
    ),
    ("disk.full", "OSError: [Errno 28] No space left on device"),
    ("exec.format", "exec /usr/bin/tini: exec format error"),
    (
        "exec.no_nvidia_smi",
        "/bin/bash: line 1: nvidia-smi: command not found",
    ),
    (
        "refused.not_found",
        "exec /app/start.sh: no such file or directory",
    ),
    (
        "ulimit.nofile_stack",
        "OSError: [Errno 24] Too many open files",
    ),
    (
        "ulimit.nofile_stack",
        "RuntimeError: can't start new thread",
    ),
    ("seccomp.old_docker", "clone3(): Operation not permitted"),
    (
        "xid.any",
        "[ 1201.1] NVRM: Xid (PCI:0000:65:00): 31, pid=4129, name=python, Ch 00000008",
    ),
    (
        "xid.79_text",
        "NVRM: Xid (PCI:0000:65:00): 79, pid=4129, GPU has fallen off the bus.",
    ),
    (
        "kmod.api_mismatch",
        "NVRM: API mismatch: the client has the version 550.54.15, but this kernel module has the version 535.183.01.",
    ),
    (
        "kmod.nouveau",
        "NVRM: This can occur when a driver such as nouveau, rivafb, nvidiafb, or rivatv was loaded and obtained ownership of the NVIDIA device(s).",
    ),
    (
        "kmod.secure_boot",
        "modprobe: ERROR: could not insert 'nvidia': Key was rejected by service",
    ),
    (
        "kmod.dkms_kernel",
        "modprobe: FATAL: Module nvidia not found in directory /lib/modules/6.8.0-45-generic",
    ),
    (
        "host.persistence",
        "failed to open /run/nvidia-persistenced/socket: no such file or directory",
    ),
    (
        "ngc.banner_no_driver",
        "WARNING: The NVIDIA Driver was not detected.  GPU functionality will not be available.",
    ),
    (
        "ngc.banner_init_failed",
        "ERROR: The NVIDIA Driver is present, but CUDA failed to initialize.  GPU functionality will not be available.",
    ),
    (
        "ngc.banner_shm",
        "NOTE: The SHMEM allocation limit is set to the default of 64MB.  This may be insufficient for PyTorch.",
    ),
    ("exit.139", "Segmentation fault (core dumped)"),
    ("exit.135", "Bus error (core dumped)"),
    ("exit.132", "Illegal instruction (core dumped)"),
    (
        "exit.134",
        "terminate called after throwing an instance of 'std::runtime_error'",
    ),
];

/// Of runs that are well: nothing may be claimed of them.
pub(super) const HARMLESS: &[&str] = &[
    " 37%|███▋      | 3712/10000 [12:41<21:29,  4.88it/s, loss=1.842]",
    "Epoch 3/10: 100%|██████████| 782/782 [01:03<00:00, 12.31it/s, loss=0.213, acc=0.94]",
    "Downloading shards: 100%|██████████| 4/4 [00:52<00:00, 13.02s/it]",
    "Loading checkpoint shards:  50%|█████     | 2/4 [00:04<00:04,  2.08s/it]",
    "{'loss': 1.3725, 'grad_norm': 0.731, 'learning_rate': 1.9e-05, 'epoch': 0.14}",
    "step 1200/50000 | loss 2.941 | lr 3.0e-4 | 182.4k tok/s | mem 61.2 GiB",
    "Some weights of BertForSequenceClassification were not initialized from the model checkpoint at bert-base-uncased and are newly initialized: ['classifier.bias', 'classifier.weight']",
    "You should probably TRAIN this model on a down-stream task to be able to use it for predictions and inference.",
    "/usr/local/lib/python3.11/site-packages/huggingface_hub/file_download.py:896: FutureWarning: `resume_download` is deprecated and will be removed in version 1.0.0.",
    "huggingface/tokenizers: The current process just got forked, after parallelism has already been used. Disabling parallelism to avoid deadlocks...",
    "The attention mask and the pad token id were not set. As a consequence, you may observe unexpected behavior.",
    "Special tokens have been added in the vocabulary, make sure the associated word embeddings are fine-tuned or trained.",
    "`torch_dtype` is deprecated! Use `dtype` instead!",
    "WARNING: Running pip as the 'root' user can result in broken permissions and conflicting behaviour with the system package manager.",
    "[notice] A new release of pip is available: 24.0 -> 25.3",
    "INFO 11-25 02:41:07 [__init__.py:216] Automatically detected platform cuda.",
    "INFO 11-25 02:41:19 [api_server.py:1896] vLLM API server version 0.11.0",
    "INFO 11-25 02:41:52 [gpu_model_runner.py:2653] Model loading took 14.9889 GiB and 6.114 seconds",
    "INFO 11-25 02:42:07 [gpu_worker.py:298] Available KV cache memory: 53.41 GiB",
    "INFO 11-25 02:42:08 [kv_cache_utils.py:1087] GPU KV cache size: 437,472 tokens",
    "INFO 11-25 02:42:21 [loggers.py:127] Engine 000: Avg prompt throughput: 310.2 tokens/s, Avg generation throughput: 92.7 tokens/s, Running: 3 reqs, Waiting: 0 reqs, GPU KV cache usage: 1.2%",
    "INFO:     Uvicorn running on http://0.0.0.0:7860 (Press CTRL+C to quit)",
    "INFO:     172.17.0.1:53412 - \"GET /health HTTP/1.1\" 200 OK",
    "* Running on local URL:  http://0.0.0.0:7860",
    "box:120:187 [0] NCCL INFO NCCL version 2.21.5+cuda12.4",
    "box:120:187 [0] NCCL INFO NET/Plugin: Could not find: libnccl-net.so. Using internal network plugin.",
    "box:120:187 [0] NCCL INFO Channel 00/0 : 0[0] -> 1[1] via P2P/IPC",
    "box:120:187 [0] NCCL INFO ncclCommInitRank comm 0x55d0 rank 0 nranks 2 cudaDev 0 nvmlDev 0 busId 1000 - Init COMPLETE",
    "I tensorflow/core/platform/cpu_feature_guard.cc:182] This TensorFlow binary is optimized to use available CPU instructions in performance-critical operations.",
    "2026-11-25 02:40:11.1 I tensorflow/core/common_runtime/gpu/gpu_device.cc:1929] Created device /job:localhost/replica:0/task:0/device:GPU:0 with 78895 MB memory",
    "[I 2026-11-25 02:40:12.114 ServerApp] Jupyter Server 2.14.2 is running at:",
    "llama_model_loader: loaded meta data with 29 key-value pairs and 292 tensors",
    "ggml_cuda_init: found 1 CUDA devices:",
    "  Device 0: NVIDIA H100 80GB HBM3, compute capability 9.0, VMM: yes",
    "I1125 02:41:11.124 1 server.cc:674] \"Started HTTPService at 0.0.0.0:8000\"",
    "+-----------------------------------------------------------------------------------------+",
    "| NVIDIA-SMI 550.163.01             Driver Version: 550.163.01     CUDA Version: 12.4     |",
    "|   0  NVIDIA H100 80GB HBM3          On  |   00000000:18:00.0 Off |                    0 |",
    "Using device: cuda:0, batch 64, out of 1281167 images",
    "Checkpoint saved to /checkpoints/step-1000 (memory 61.2 GiB, exit criterion not met)",
    "2026/11/25 02:40:00 [notice] 1#1: signal 15 (SIGTERM) received from 77, exiting",
];
