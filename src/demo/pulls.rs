//! Fetching images on the simulated engine: a few that its registries have, layer by layer.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use serde_json::{Value, json};

use crate::model::Stamp;

use super::engine::ByteStream;
use super::pictures::{FETCHED, Picture};
use super::random::Dice;
use super::{DemoError, DemoHost, facts, json as answers};

/// Between two words, and how many there are while layers come: about four seconds.
const BEAT: Duration = Duration::from_millis(100);
const BEATS: u64 = 30;
/// Hosts of registries that answer.
const HOSTS: [&str; 4] = ["docker.io", "nvcr.io", "quay.io", "ghcr.io"];

impl DemoHost {
    /// `POST /images/create`: the words of the pull as they come. The image is there once the last was read.
    ///
    /// # Errors
    /// No such image, or no such registry: in the engine's words.
    pub(super) fn pull(&self, name: &str, tag: &str, now: Stamp) -> Result<ByteStream, DemoError> {
        let (host, path) = match name.split_once('/') {
            Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => (host, path),
            _ => ("docker.io", name),
        };
        if !HOSTS.contains(&host) {
            let text = format!(
                "Get \"https://{host}/v2/\": dial tcp: lookup {host} on 127.0.0.53:53: no such host"
            );
            return Err(DemoError::new(500, text));
        }
        let path = path.strip_prefix("library/").unwrap_or(path);
        let known = match host {
            "docker.io" => path.to_owned(),
            host => format!("{host}/{path}"),
        };
        let tag = if tag.is_empty() { "latest" } else { tag };
        let reference = format!("{known}:{tag}");
        let (guard, _) = self.at(now);
        let seed = guard.world.seed;
        if let Some(there) = answers::find_picture(&guard.world, &reference)
            && there.tag == reference
        {
            let mut words = ends(seed, there, &reference);
            words.push(json!({"status": format!("Status: Image is up to date for {reference}")}));
            return Ok(self.told(vec![words], None));
        }
        if let Some(picture) = FETCHED.iter().find(|p| p.tag == reference) {
            return Ok(self.told(words(seed, picture, &reference), Some(picture)));
        }
        let of_name = |p: &&Picture| p.tag.split(':').next() == Some(known.as_str());
        let text = match FETCHED.iter().find(of_name) {
            Some(_) => {
                format!("manifest for {reference} not found: manifest unknown: manifest unknown")
            }
            None => format!(
                "pull access denied for {known}, repository does not exist or may require 'docker login': denied: \
                 requested access to the resource is denied"
            ),
        };
        Err(DemoError::new(404, text))
    }

    fn told(&self, beats: Vec<Vec<Value>>, image: Option<&'static Picture>) -> ByteStream {
        let state = (self.clone(), beats.into_iter());
        Box::pin(stream::unfold(state, move |(host, mut beats)| async move {
            let words = beats.next()?;
            tokio::time::sleep(BEAT).await;
            if beats.len() == 0
                && let Some(image) = image
            {
                let (mut guard, _) = host.at(Stamp::now());
                if !guard.world.pulled.iter().any(|p| p.tag == image.tag) {
                    guard.world.pulled.push(image);
                }
            }
            let bytes: Bytes = words
                .iter()
                .flat_map(|word| format!("{word}\r\n").into_bytes())
                .collect();
            Some((bytes, (host, beats)))
        }))
    }
}

fn ends(seed: u64, picture: &Picture, reference: &str) -> Vec<Value> {
    let digest = facts::image_id(seed, &format!("{}@", picture.tag));
    let tag = reference.rsplit(':').next().unwrap_or_default();
    let name = reference
        .strip_suffix(tag)
        .unwrap_or(reference)
        .trim_end_matches(':');
    vec![
        json!({"status": format!("Pulling from {name}"), "id": tag}),
        json!({"status": format!("Digest: {digest}")}),
    ]
}

/// The words of a pull, beat by beat: three layers at a time come down, each is unpacked after it.
fn words(seed: u64, picture: &Picture, reference: &str) -> Vec<Vec<Value>> {
    let dice = Dice::new(seed, picture.tag);
    let id = |k: u64| format!("{:012x}", dice.at(2000 + k) & 0xffff_ffff_ffff);
    // Later layers are larger, as those with the libraries are; compressed they are less than half.
    let parts: u64 = (1..=picture.layers).map(|k| k * k).sum();
    let size = |k: u64| (picture.size * 2 / 5 * (k + 1) * (k + 1) / parts.max(1)).max(1);
    let word = |k: u64, status: &str, bytes: Option<u64>| {
        let detail = bytes.map_or(json!({}), |n| json!({"current": n, "total": size(k)}));
        json!({"status": status, "progressDetail": detail, "id": id(k)})
    };
    let [first, digest] =
        <[Value; 2]>::try_from(ends(seed, picture, reference)).unwrap_or_default();
    let mut beats = vec![vec![first]];
    beats.push(
        (0..picture.layers)
            .map(|k| word(k, "Pulling fs layer", None))
            .collect(),
    );
    // A layer's moments: it comes between the first two, and is unpacked until the third.
    let share = BEATS / picture.layers.max(1);
    let moments = |k: u64| {
        let from = (k * share).saturating_sub(share);
        (from, (k + 1) * share, (k + 1) * share + 3)
    };
    for beat in 0..BEATS + 4 {
        let mut now = Vec::new();
        for k in 0..picture.layers {
            let (from, to, done) = moments(k);
            let part =
                |from: u64, to: u64| size(k) / (to - from).max(1) * (beat - from).min(to - from);
            if (from..to).contains(&beat) {
                now.push(word(k, "Downloading", Some(part(from, to))));
            } else if beat == to {
                now.push(word(k, "Download complete", None));
            } else if (to + 1..done).contains(&beat) {
                now.push(word(k, "Extracting", Some(part(to, done))));
            } else if beat == done {
                now.push(word(k, "Pull complete", None));
            }
        }
        beats.push(now);
    }
    let status = format!("Status: Downloaded newer image for {reference}");
    beats.push(vec![digest, json!({"status": status})]);
    beats
}
