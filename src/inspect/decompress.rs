//! A layer's bytes as they come out of its compression: none, gzip, zstd.

use std::io::{self, BufRead, Read};

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// Largest zstd window that is given memory; what engines write needs 8 MiB.
const MAX_WINDOW: u64 = 32 << 20;

/// Reads a layer, whatever it is compressed with.
pub(super) enum Layer<R: BufRead> {
    Plain(R),
    Gzip(Box<MultiGzDecoder<R>>),
    Zstd(Frames<R>),
}

impl<R: BufRead> Layer<R> {
    /// Looks at the first bytes.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn new(mut source: R) -> io::Result<Self> {
        let first = source.fill_buf()?;
        Ok(if first.starts_with(&[0x1f, 0x8b]) {
            Self::Gzip(Box::new(MultiGzDecoder::new(source)))
        } else if first.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) || is_skippable(first) {
            Self::Zstd(Frames::new(source))
        } else {
            Self::Plain(source)
        })
    }
}

/// A skippable frame, as seekable zstd layers may begin with.
fn is_skippable(first: &[u8]) -> bool {
    matches!(first, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

impl<R: BufRead> Read for Layer<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(source) => source.read(buffer),
            Self::Gzip(source) => source.read(buffer),
            Self::Zstd(frames) => frames.read(buffer),
        }
    }
}

/// The frames of a zstd file, one after another; skippable ones are skipped.
pub(super) struct Frames<R> {
    source: R,
    decoder: Box<FrameDecoder>,
    inside: bool,
}

impl<R: BufRead> Frames<R> {
    fn new(source: R) -> Self {
        let mut decoder = Box::new(FrameDecoder::new());
        decoder.set_max_window_size(MAX_WINDOW);
        Self {
            source,
            decoder,
            inside: false,
        }
    }

    /// Goes into the next frame; `false` at the end of the file.
    fn enter(&mut self) -> io::Result<bool> {
        if self.source.fill_buf()?.is_empty() {
            return Ok(false);
        }
        match self.decoder.init(&mut self.source) {
            Ok(()) => self.inside = true,
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                length,
                ..
            })) => {
                let mut rest = (&mut self.source).take(u64::from(length));
                io::copy(&mut rest, &mut io::sink())?;
            }
            Err(error) => return Err(io::Error::other(error)),
        }
        Ok(true)
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.inside {
                if !self.enter()? {
                    return Ok(0);
                }
                continue;
            }
            if self.decoder.can_collect() > 0 {
                return self.decoder.read(buffer);
            }
            if self.decoder.is_finished() {
                self.inside = false;
                continue;
            }
            self.decoder
                .decode_blocks(&mut self.source, BlockDecodingStrategy::UptoBlocks(1))
                .map_err(io::Error::other)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufReader, Write};

    fn read(bytes: &[u8], capacity: usize) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        Layer::new(BufReader::with_capacity(capacity, bytes))?.read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn every_compression_gives_the_same_bytes() {
        let plain: Vec<u8> = (0..200_000u32)
            .flat_map(|n| (n / 7).to_le_bytes())
            .collect();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&plain).unwrap();
        let gzip = gzip.finish().unwrap();
        let (left, right) = plain.split_at(300_000);
        let frame = |part: &[u8]| {
            ruzstd::encoding::compress_to_vec(part, ruzstd::encoding::CompressionLevel::Fastest)
        };
        let skippable = [0x50, 0x2a, 0x4d, 0x18, 5, 0, 0, 0, 1, 2, 3, 4, 5];
        let zstd = [&skippable[..], &frame(left), &skippable, &frame(right)].concat();
        for capacity in [16, 4096, 1 << 16] {
            assert_eq!(read(&plain, capacity).unwrap(), plain);
            assert_eq!(read(&gzip, capacity).unwrap(), plain);
            assert_eq!(read(&zstd, capacity).unwrap(), plain);
            assert!(read(&gzip[..gzip.len() / 2], capacity).is_err());
            assert!(read(&zstd[..zstd.len() - 3], capacity).is_err());
        }
        // A frame that asks for a window of 2 GiB gets none.
        assert!(read(&[0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xA8, 0, 0, 0, 0], 64).is_err());
    }
}
