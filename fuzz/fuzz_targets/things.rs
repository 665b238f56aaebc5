//! Any bytes as a pack of cut-outs (a gzipped tar archive), as its list, and as one of its pictures.
#![no_main]

use hawk_pictures::things::Things;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(dir) = tempfile::tempdir() else { return };
    let (pack, folder) = (dir.path().join("pack.tgz"), dir.path().join("folder"));
    let made = std::fs::create_dir(&folder).and_then(|()| std::fs::write(&pack, bytes));
    let files: [(&str, &[u8]); 3] = [("objects.jsonl", bytes), ("ATTRIBUTION", b"nobody"), ("0000.png", bytes)];
    let write = |(name, content): &(&str, &[u8])| std::fs::write(folder.join(name), content);
    if made.and_then(|()| files.iter().try_for_each(write)).is_err() {
        return;
    }
    let _ = Things::open(&pack).map(|things| things.digest());
    let _ = Things::open(&folder).map(|things| things.digest());
});
