//! Figures on one page.

use std::fmt::Write;

use hawk_bench::plot::{escape, figure, page};

use super::data::{Content, Figure, Part};
use super::draw::markup;

/// One page of all figures. It needs nothing beside itself: no script, no file, no network.
#[must_use]
pub fn report(figures: &[Figure]) -> String {
    let mut body = "<p class=\"lead\">What the model attends to, what its drafts are worth, and what it draws: \
                    each figure of the paper (arXiv 2510.25739) on this model.</p>\n"
        .to_owned();
    if figures.len() > 1 {
        let entry = |figure: &Figure| format!("<li>{}</li>", escape(&figure.title));
        let _ = writeln!(body, "<ol class=\"contents\">{}</ol>", figures.iter().map(entry).collect::<String>());
    }
    figures.iter().for_each(|figure| body += &section(figure));
    let _ = writeln!(body, "<footer>hawk {}, <code>hawk analyze</code></footer>", env!("CARGO_PKG_VERSION"));
    page("Inside the model", &body)
}

fn section(of: &Figure) -> String {
    let findings: String = of.findings.iter().map(|finding| format!("<li>{}</li>", escape(finding))).collect();
    let setting = |[name, value]: &[String; 2]| format!("<dt>{}</dt><dd>{}</dd>\n", escape(name), escape(value));
    let settings: String = of.settings.iter().map(setting).collect();
    let mut text = format!(
        "<section>\n<h2>{}<span class=\"badge\">{}</span></h2>\n<ul class=\"findings\">{findings}</ul>\n<dl>{settings}</dl>\n",
        escape(&of.title),
        escape(&of.paper)
    );
    // Plots stand beside each other; tables and pictures have the whole width.
    for group in of.parts.chunk_by(|a, b| is_plot(a) == is_plot(b)) {
        if is_plot(&group[0]) {
            let plots: String =
                group.iter().map(|part| figure(&escape(&part.title), &escape(&part.caption), &markup(part))).collect();
            let _ = writeln!(text, "<div class=\"plots\">\n{plots}</div>");
        } else {
            for part in group {
                let (title, caption) = (escape(&part.title), escape(&part.caption));
                let _ = writeln!(text, "<h3>{title}</h3>\n<p class=\"note\">{caption}</p>\n{}", markup(part));
            }
        }
    }
    text + "</section>\n"
}

fn is_plot(part: &Part) -> bool {
    matches!(part.content, Content::Lines(_) | Content::Map(_))
}
