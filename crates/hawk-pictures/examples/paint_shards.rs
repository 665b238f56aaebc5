//! Paints captioned pictures for a trainer: `paint_shards --things things.pack --pictures 100000 --seed 1 --out shards/`. It does what
//! `hawk data landscapes --shards` does, as a small program that can be linked statically for a machine without anything.

use std::num::NonZero;
use std::path::PathBuf;
use std::time::Instant;

use clap::Parser;
use hawk_pictures::mixture::{Mixture, Shares};
use hawk_pictures::order::Order;
use hawk_pictures::things::{Shift, Things};
use hawk_pictures::{shards, sheet};

#[derive(Parser)]
struct Args {
    /// A pack of things, or the folder that `hawk data emoji` made
    #[arg(long, value_name = "PATH")]
    things: PathBuf,
    /// How many pictures
    #[arg(long, value_name = "N")]
    pictures: NonZero<u64>,
    /// Other seeds give other pictures
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Folder of the shards
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Threads; the pictures do not depend on it [default: one per core]
    #[arg(long)]
    threads: Option<NonZero<usize>>,
    /// Pictures of a shard
    #[arg(long, value_name = "N", default_value = "4096")]
    shard: NonZero<u64>,
    /// Where things may be put
    #[arg(long, value_name = "cells|pixels|fixed", default_value = "cells", value_parser = |name: &str| Shift::named(name).ok_or("cells, pixels or fixed"))]
    shift: Shift,
    /// Parts of landscapes, things, scenes and composites
    #[arg(long, value_name = "A,B,C,D", value_delimiter = ',', num_args = 4, default_values_t = [50, 25, 5, 20])]
    shares: Vec<usize>,
    /// Also write a contact sheet: this many pictures of every kind, captions beside it
    #[arg(long, value_name = "N")]
    sheet: Option<usize>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    let &[landscapes, things, scenes, composites] = args.shares.as_slice() else {
        return Err("--shares takes four numbers".into());
    };
    let threads = match args.threads {
        Some(threads) => threads,
        None => std::thread::available_parallelism()?,
    };
    let shares = Shares { landscapes, things, scenes, composites };
    let mixture = Mixture::new(Things::open(&args.things)?, shares, args.shift, args.seed)?;
    let order = Order { mixture, pictures: args.pictures, out: args.out, threads };
    let start = Instant::now();
    shards::paint(&order, args.shard, &mut |progress| {
        let rate = progress.painted as f64 / start.elapsed().as_secs_f64();
        println!("{} of {} pictures, {rate:.0} a second", progress.done, order.pictures);
    })?;
    if let Some(each) = args.sheet {
        sheet::write(&order.mixture, each, &order.out)?;
    }
    Ok(())
}
