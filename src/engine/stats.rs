//! One container's usage from the engine's statistics endpoint, asked for once (`one-shot`). Pure.
//!
//! `one-shot=true` (API 1.41) answers at once but without the sample before: CPU is worked out here from
//! two answers.

use jiff::Timestamp;

use crate::model::{ContainerKey, ContainerUsage, Stamp, UsageSource};

use super::error::EngineError;
use super::json::{self, List};

/// The CPU time of the answer before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct CpuSample {
    /// CPU time spent since the start, nanoseconds.
    total_ns: u64,
    /// When it was read, by the engine's clock.
    read: Timestamp,
    /// The percentage that it gave, told again when two reads fall together.
    percent: Option<f64>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Stats {
    #[serde(deserialize_with = "json::text")]
    read: Option<String>,
    #[serde(deserialize_with = "json::object")]
    pids_stats: Pids,
    #[serde(deserialize_with = "json::object")]
    blkio_stats: Blkio,
    #[serde(deserialize_with = "json::object")]
    cpu_stats: Cpu,
    #[serde(deserialize_with = "json::object")]
    memory_stats: Memory,
    #[serde(deserialize_with = "networks")]
    networks: Option<Network>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Pids {
    #[serde(deserialize_with = "json::count")]
    current: Option<u64>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Blkio {
    io_service_bytes_recursive: List<BlkioEntry>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct BlkioEntry {
    #[serde(deserialize_with = "json::text")]
    op: Option<String>,
    #[serde(deserialize_with = "json::count")]
    value: Option<u64>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Cpu {
    #[serde(deserialize_with = "json::object")]
    cpu_usage: CpuUsage,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct CpuUsage {
    #[serde(deserialize_with = "json::count")]
    total_usage: Option<u64>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Memory {
    #[serde(deserialize_with = "json::count")]
    usage: Option<u64>,
    #[serde(deserialize_with = "json::count")]
    limit: Option<u64>,
    #[serde(deserialize_with = "json::object")]
    stats: MemoryStats,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct MemoryStats {
    #[serde(deserialize_with = "json::count")]
    total_inactive_file: Option<u64>,
    #[serde(deserialize_with = "json::count")]
    inactive_file: Option<u64>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Network {
    #[serde(deserialize_with = "json::count")]
    rx_bytes: Option<u64>,
    #[serde(deserialize_with = "json::count")]
    tx_bytes: Option<u64>,
}

/// The sum over all interfaces; `None` where there is no table of them.
fn networks<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<Network>, D::Error> {
    struct Sum;
    impl<'de> serde::de::Visitor<'de> for Sum {
        type Value = Option<Network>;
        json::scalars_are!(None);
        fn visit_seq<A: serde::de::SeqAccess<'de>>(
            self,
            mut seq: A,
        ) -> Result<Self::Value, A::Error> {
            while seq.next_element::<serde::de::IgnoredAny>()?.is_some() {}
            Ok(None)
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(
            self,
            mut map: A,
        ) -> Result<Self::Value, A::Error> {
            let mut sum: Option<Network> = None;
            while let Some((_, one)) =
                map.next_entry::<serde::de::IgnoredAny, json::Object<Network>>()?
            {
                let Some(one) = one.0 else { continue };
                let sum = sum.get_or_insert_default();
                sum.rx_bytes = add(sum.rx_bytes, one.rx_bytes);
                sum.tx_bytes = add(sum.tx_bytes, one.tx_bytes);
            }
            Ok(sum)
        }
    }
    d.deserialize_any(Sum)
}

fn add(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.saturating_add(b)),
        (one, other) => one.or(other),
    }
}

/// Reads the answer of `/containers/ID/stats?stream=false&one-shot=true`; `None` where the container does
/// not run (engines then answer zeros). `before` is the sample that the last call gave.
pub(super) fn usage(
    bytes: &[u8],
    key: ContainerKey,
    before: Option<CpuSample>,
    now: Stamp,
) -> Result<Option<(ContainerUsage, Option<CpuSample>)>, EngineError> {
    let stats: Stats = json::parse(bytes)?;
    let read: Timestamp = match stats.read.as_deref().map(str::parse) {
        Some(Ok(read)) => read,
        _ => now.wall,
    };
    if read <= Timestamp::UNIX_EPOCH {
        return Ok(None);
    }
    let cpu = stats
        .cpu_stats
        .cpu_usage
        .total_usage
        .map(|total_ns| CpuSample {
            total_ns,
            read,
            percent: percent(before, total_ns, read),
        });
    let memory = &stats.memory_stats;
    // cgroup v1 tells the whole subtree in `total_inactive_file`, v2 in `inactive_file`; as docker stats,
    // a cache that exceeds the usage is not taken off.
    let cache = memory
        .stats
        .total_inactive_file
        .or(memory.stats.inactive_file)
        .unwrap_or(0);
    let block = |wanted: &str| {
        stats
            .blkio_stats
            .io_service_bytes_recursive
            .iter()
            .filter(|e| {
                e.op.as_deref()
                    .is_some_and(|op| op.eq_ignore_ascii_case(wanted))
            })
            .fold(None, |sum, e| add(sum, e.value))
    };
    let usage = ContainerUsage {
        key,
        at: now,
        source: UsageSource::Engine,
        cpu_percent: cpu.and_then(|c| c.percent),
        memory_used_bytes: memory
            .usage
            .map(|used| if cache < used { used - cache } else { used }),
        memory_limit_bytes: memory.limit.filter(|n| *n != 0),
        network_rx_bytes: stats.networks.as_ref().and_then(|n| n.rx_bytes),
        network_tx_bytes: stats.networks.as_ref().and_then(|n| n.tx_bytes),
        block_read_bytes: block("read"),
        block_write_bytes: block("write"),
        pids: stats.pids_stats.current,
        oom_kills: None,
    };
    Ok(Some((usage, cpu)))
}

/// Percent of one core between two samples by the engine's own clock.
fn percent(before: Option<CpuSample>, total_ns: u64, read: Timestamp) -> Option<f64> {
    let before = before?;
    let wall = read.duration_since(before.read).as_secs_f64();
    if wall < 0.05 {
        return before.percent;
    }
    // Less than before: it was started again in between.
    let spent = total_ns.checked_sub(before.total_ns)?;
    Some(spent as f64 / 1e9 / wall * 100.0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::{ContainerId, HostId};

    fn key() -> ContainerKey {
        ContainerKey {
            host: HostId(0),
            id: ContainerId::from_bytes([7; 32]),
        }
    }

    fn read(json: &str, before: Option<CpuSample>) -> Option<(ContainerUsage, Option<CpuSample>)> {
        let now = Stamp::simulated("2026-01-01T00:00:00Z".parse().unwrap(), Duration::ZERO);
        usage(json.as_bytes(), key(), before, now).unwrap()
    }

    /// As engine 20.10 on cgroup v1 answered.
    const V1: &str = r#"{"read":"2026-11-23T16:22:44.109610925Z","pids_stats":{"current":1},
        "blkio_stats":{"io_service_bytes_recursive":[{"major":8,"minor":0,"op":"Read","value":10},
          {"major":8,"minor":0,"op":"Write","value":4},{"major":9,"minor":0,"op":"Read","value":5},
          {"op":"Total","value":19}]},
        "cpu_stats":{"cpu_usage":{"total_usage":1000000000},"online_cpus":2},
        "memory_stats":{"usage":2523136,"stats":{"inactive_file":1,"total_inactive_file":1982464},"limit":25276502016},
        "networks":{"eth0":{"rx_bytes":1,"tx_bytes":2},"eth1":{"rx_bytes":10,"tx_bytes":20}}}"#;

    #[test]
    fn a_v1_answer_is_counted_as_docker_stats_counts() {
        let (usage, cpu) = read(V1, None).unwrap();
        assert_eq!(usage.cpu_percent, None);
        assert_eq!(usage.memory_used_bytes, Some(2523136 - 1982464));
        assert_eq!(usage.memory_limit_bytes, Some(25276502016));
        assert_eq!(
            (usage.network_rx_bytes, usage.network_tx_bytes),
            (Some(11), Some(22))
        );
        assert_eq!(
            (usage.block_read_bytes, usage.block_write_bytes),
            (Some(15), Some(4))
        );
        assert_eq!(usage.pids, Some(1));
        let later = V1
            .replace("16:22:44.10", "16:22:46.10")
            .replace("1000000000", "4000000000");
        let (usage, _) = read(&later, cpu).unwrap();
        assert_eq!(usage.cpu_percent.map(f64::round), Some(150.0));
        let restarted = later.replace("4000000000", "1");
        assert_eq!(read(&restarted, cpu).unwrap().0.cpu_percent, None);
        // Two reads of one moment tell the old value again, never a division by zero.
        assert_eq!(read(V1, cpu).unwrap().0.cpu_percent, None);
    }

    #[test]
    fn a_v2_answer_has_inactive_file_alone() {
        let json = r#"{"read":"2026-11-23T16:22:44Z","memory_stats":{"usage":100,"stats":{"inactive_file":40}}}"#;
        let (usage, cpu) = read(json, None).unwrap();
        assert_eq!(usage.memory_used_bytes, Some(60));
        assert_eq!(cpu, None);
        let more_cache = json.replace("40", "200");
        assert_eq!(
            read(&more_cache, None).unwrap().0.memory_used_bytes,
            Some(100)
        );
    }

    #[test]
    fn what_is_absent_is_none_and_a_stopped_container_has_no_usage() {
        let (usage, _) = read(
            r#"{"read":"2026-11-23T16:22:44Z","blkio_stats":{"io_service_bytes_recursive":null},
                "memory_stats":{},"networks":null,"pids_stats":{}}"#,
            None,
        )
        .unwrap();
        assert_eq!(usage.memory_used_bytes, None);
        assert_eq!(usage.network_rx_bytes, None);
        assert_eq!(usage.block_read_bytes, None);
        assert_eq!(usage.pids, None);
        assert_eq!(read(r#"{"read":"0001-01-01T00:00:00Z"}"#, None), None);
    }
}
