//! The report as one page: words, table, plots, images. Nothing beside it is needed, and no script.

mod colour;
mod section;
#[cfg(test)]
mod tests;

use hawk::Result;

use crate::plot::{escape, page};
use crate::report::Report;
use colour::guesses;
use section::{Group, section};

impl Report {
    /// One page that needs nothing beside itself: no script, no file, no network.
    ///
    /// # Errors
    /// An image that no PNG can hold.
    pub fn page(&self) -> Result<String> {
        let mut sections = String::new();
        for group in groups(self) {
            sections.push_str(&section(&group, self)?);
        }
        let body = format!(
            "<p class=\"lead\">{}</p>\n{}{sections}<footer>hawk {}, <code>hawk bench decoders</code></footer>\n",
            lead(self),
            settings(self),
            escape(&self.machine.version),
        );
        Ok(page("Decoders compared", &body))
    }
}

/// Rows of one precision and one rule each, in the order of the report.
fn groups(report: &Report) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for row in &report.rows {
        let same = |group: &&mut Group<'_>| group.precision == row.precision && group.rule == row.rule;
        match groups.iter_mut().find(same) {
            Some(group) => group.rows.push(row),
            None => {
                groups.push(Group { precision: &row.precision, rule: &row.rule, exact: row.exact, rows: vec![row] })
            }
        }
    }
    groups
}

/// What came out, in two sentences.
fn lead(report: &Report) -> String {
    let images = report.settings.turns.len();
    let drawn =
        format!("{images} {}, each drawn by every decoder in turn.", if images == 1 { "image" } else { "images" });
    let best = report.rows.iter().filter(|row| row.exact && guesses(row));
    let Some(best) = best.max_by(|a, b| a.speedup.total_cmp(&b.speedup)) else { return drawn };
    let (decoder, budget, precision) = (escape(&best.decoder), best.budget.words(), escape(&best.precision));
    let speed = match best.speedup > 1.0 {
        true => format!("draws an image {:.2} times as fast as plain decoding", best.speedup),
        false => format!("comes nearest to plain decoding, at {:.2} times its speed", best.speedup),
    };
    let law = match best.same_image_as_ar {
        Some(true) => "and it is the same image, code for code",
        _ => "and every image still follows the model's own law",
    };
    format!("{drawn} <strong>{decoder}</strong> with {budget} in {precision} {speed}, {law}.")
}

fn settings(report: &Report) -> String {
    let (settings, machine) = (&report.settings, &report.machine);
    let ([rows, cols], sampling) = (settings.grid, settings.sampling);
    let top_k = if sampling.top_k == 0 { "all codes".to_owned() } else { format!("top {} codes", sampling.top_k) };
    let top_p = if sampling.top_p < 1.0 { format!(", top-p {}", sampling.top_p) } else { String::new() };
    let digest: String = settings.model_digest.chars().take(12).collect();
    let seeds = settings.turns.first().zip(settings.turns.last());
    let seeds = seeds.map_or(String::new(), |(first, last)| match first == last {
        true => format!(", seed {}", first.seed),
        false => format!(", seeds {} to {}", first.seed, last.seed),
    });
    let (threads, cores, arch) = (machine.threads, machine.cores, escape(&machine.arch));
    let kernels = format!("{} kernels, {}", escape(&machine.isa), escape(&machine.os));
    let entries = [
        ("Model", format!("{}, {rows} × {cols} cells an image, digest {}…", escape(&settings.model), escape(&digest))),
        ("Sampling", format!("guidance {}, temperature {}, {top_k}{top_p}", sampling.cfg, sampling.temperature)),
        ("Images", format!("{}{seeds}, one image a pass", settings.turns.len())),
        ("Machine", format!("{threads} of {cores} hardware threads, {arch}, {kernels}")),
        (
            "Pairing",
            "for every image all decoders draw in turn, the order rotates, and each time is set against plain \
             decoding’s time of the same image under the same rule; the first round only warms up"
                .to_owned(),
        ),
    ];
    let entries: String = entries.iter().map(|(name, text)| format!("<dt>{name}</dt><dd>{text}</dd>\n")).collect();
    format!("<dl>\n{entries}</dl>\n")
}
