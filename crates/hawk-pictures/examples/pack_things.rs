//! Makes one file of the cut-outs that `hawk data emoji` made: `pack_things FOLDER OUT.pack [SIDE]`.

use std::path::Path;

use hawk_pictures::things::Things;

/// Longest side of a cut-out: 1363 of them are 13 MB. The largest things are painted a little larger.
const SIDE: u32 = 104;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (folder, out, side) = match args.as_slice() {
        [folder, out] => (folder, out, SIDE),
        [folder, out, side] => (folder, out, side.parse()?),
        _ => return Err("usage: pack_things FOLDER OUT.pack [SIDE]".into()),
    };
    let things = Things::open(Path::new(folder))?;
    things.write_pack(Path::new(out), side)?;
    println!("{} cut-outs, {:.1} MB", things.all().len(), std::fs::metadata(out)?.len() as f64 / 1e6);
    Ok(())
}
