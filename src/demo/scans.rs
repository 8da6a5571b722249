//! Containers that a scan makes on the simulated engine, and the file systems of all containers.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use serde_json::{Map, Value, json};

use crate::model::{ContainerId, ContainerKey, HostId, Stamp};

use super::engine::ByteStream;
use super::output::rfc3339_nano;
use super::pictures::Picture;
use super::random::Dice;
use super::{DemoError, DemoHost, content, facts, json as answers, member};

/// Most of them at a time.
const MOST: usize = 64;
/// A file system comes in pieces this far apart.
const BEAT: Duration = Duration::from_millis(40);

/// A container that was made for a scan; it is never started.
#[derive(Debug, Clone)]
pub(super) struct Scan {
    key: ContainerKey,
    picture: &'static Picture,
    labels: Map<String, Value>,
    created: jiff::Timestamp,
}

impl DemoHost {
    /// `POST /containers/create`: the new id.
    pub(super) fn make_scan(&self, body: &Value, now: Stamp) -> Result<String, DemoError> {
        let (mut guard, _) = self.at(now);
        let world = &mut guard.world;
        let name = body.get("Image").and_then(Value::as_str).unwrap_or("");
        let picture = answers::find_picture(world, name)
            .ok_or_else(|| DemoError::new(404, format!("No such image: {name}")))?;
        let labels = body.get("Labels").and_then(Value::as_object);
        let labels = labels.filter(|labels| labels.contains_key("midwatch.scan"));
        let Some(labels) = labels.filter(|_| world.scans.len() < MOST).cloned() else {
            let text = "the simulated engine makes containers for scans only";
            return Err(DemoError::new(400, text));
        };
        world.scan_count += 1;
        let seed = world.seed.wrapping_add(world.scan_count);
        let id = ContainerId::from_bytes(Dice::new(seed, "scan").bytes());
        let host = HostId(0);
        world.scans.push(Scan {
            key: ContainerKey { host, id },
            picture,
            labels,
            created: now.wall,
        });
        Ok(id.to_string())
    }

    /// The scan's container whose id begins so.
    fn scan(&self, id: &str, now: Stamp) -> Option<Scan> {
        let (guard, _) = self.at(now);
        let hit = |scan: &&Scan| id.len() >= 12 && scan.key.id.to_string().starts_with(id);
        guard.world.scans.iter().find(hit).cloned()
    }

    /// Removes a scan's container; whether it was one.
    pub(super) fn remove_scan(&self, id: &str, now: Stamp) -> bool {
        let Some(found) = self.scan(id, now) else {
            return false;
        };
        let (mut guard, _) = self.at(now);
        guard.world.scans.retain(|scan| scan.key != found.key);
        true
    }

    /// `GET /containers/ID/json` of a scan's container.
    pub(super) fn scan_json(&self, id: &str, now: Stamp) -> Option<Value> {
        let scan = self.scan(id, now)?;
        let (guard, _) = self.at(now);
        Some(json!({
            "Id": scan.key.id.to_string(), "Created": rfc3339_nano(scan.created), "Path": "midwatch-scan", "Args": [],
            "State": {"Status": "created", "Running": false, "Pid": 0, "ExitCode": 0},
            "Image": facts::image_id(guard.world.seed, scan.picture.tag),
            "Name": format!("/scan_{}", scan.key.id.short()), "RestartCount": 0, "Mounts": [],
            "HostConfig": {"NetworkMode": "none"},
            "Config": {
                "Image": facts::image_id(guard.world.seed, scan.picture.tag), "Env": scan.picture.env,
                "Cmd": ["midwatch-scan"], "Entrypoint": null, "Labels": scan.labels,
            },
        }))
    }

    /// Their rows in the list.
    pub(super) fn scan_rows(&self, now: Stamp) -> Vec<Value> {
        let (guard, _) = self.at(now);
        let world = &guard.world;
        let row = |scan: &Scan| {
            json!({
                "Id": scan.key.id.to_string(), "Names": [format!("/scan_{}", scan.key.id.short())],
                "Image": scan.picture.tag, "ImageID": facts::image_id(world.seed, scan.picture.tag),
                "Command": "midwatch-scan", "Created": scan.created.as_second(), "Ports": [],
                "Labels": scan.labels, "State": "created", "Status": "Created", "Mounts": [],
            })
        };
        world.scans.iter().map(row).collect()
    }

    /// `GET /containers/ID/export`, at the pace of a disk.
    ///
    /// # Errors
    /// No such container.
    pub(super) fn export(&self, id: &str, now: Stamp) -> Result<ByteStream, DemoError> {
        let picture = match self.scan(id, now) {
            Some(scan) => Some(scan.picture),
            None => {
                let key = self.find(id, now)?;
                let (guard, _) = self.at(now);
                facts::picture(member(&guard.world, &key)?.role.image)
            }
        };
        let (tag, size) = picture.map_or(("", 0), |picture| (picture.tag, picture.size));
        let archive = Bytes::from(content::archive(tag));
        // 0.3 s, and 2.4 s for 10 GB.
        let time = Duration::from_millis(300 + size / 4_800_000).min(Duration::from_secs(3));
        let beats = (time.as_millis() / BEAT.as_millis()).max(1) as usize;
        let piece = archive.len().div_ceil(beats).max(1);
        Ok(Box::pin(stream::unfold(
            archive,
            move |mut rest| async move {
                if rest.is_empty() {
                    return None;
                }
                tokio::time::sleep(BEAT).await;
                let next = rest.split_to(piece.min(rest.len()));
                Some((next, rest))
            },
        )))
    }
}
