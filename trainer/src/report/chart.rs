//! Line charts and the reliability diagram, as SVG in the page.

use std::fmt::Write as _;

use anyhow::Result;

use crate::metrics::Calibration;
use crate::watch::history::Row;

const WIDTH: f64 = 340.0;
const HEIGHT: f64 = 200.0;
/// Room for the numbers of the axes: left, right, above, under.
const MARGIN: [f64; 4] = [46.0, 12.0, 10.0, 26.0];

/// A line of a chart.
struct Line {
    name: &'static str,
    /// Its colour's class in the style.
    colour: &'static str,
    points: Vec<(f64, f64)>,
}

/// The curves of the training, side by side.
pub(super) fn curves(body: &mut String, history: &[Row]) -> Result<()> {
    if history.is_empty() {
        return Ok(());
    }
    let line = |name, colour, value: fn(&Row) -> f64| Line {
        name,
        colour,
        points: history.iter().map(|row| (row.epoch as f64, value(row))).filter(|(_, y)| y.is_finite()).collect(),
    };
    body.push_str("<h2>Training</h2>\n<div class=\"charts\">\n");
    chart(body, "loss", None, &[line("training", "first", |r| r.loss), line("validation", "second", |r| r.val_loss)])?;
    let right =
        [line("macro-F1", "first", |r| r.macro_f1), line("macro-recall without none", "second", |r| r.macro_recall)];
    chart(body, "validation", Some(1.0), &right)?;
    chart(body, "learning rate", None, &[line("learning rate", "first", |r| r.learning_rate)])?;
    body.push_str("</div>\n");
    if let Some(last) = history.last() {
        writeln!(
            body,
            "<p class=\"soft\">{} epochs, {} steps, {:.1} h of sound in {:.1} min: {:.0} s of sound a second.</p>",
            last.epoch,
            last.step,
            last.sound_s / 3600.0,
            last.wall_s / 60.0,
            last.sound_s / last.wall_s.max(1e-9)
        )?;
    }
    Ok(())
}

/// Lines over epochs. Each point tells its numbers where the mouse rests on it.
fn chart(body: &mut String, title: &str, top: Option<f64>, lines: &[Line]) -> Result<()> {
    let all = || lines.iter().flat_map(|line| &line.points);
    let last = all().map(|p| p.0).fold(1.0, f64::max);
    let first = all().map(|p| p.0).fold(last - 1.0, f64::min);
    let highest = all().map(|p| p.1).fold(f64::MIN_POSITIVE, f64::max);
    let step = tick(top.unwrap_or(highest));
    let top = top.unwrap_or_else(|| (highest / step).ceil() * step);
    let [left, right, above, under] = MARGIN;
    let x = |epoch: f64| left + (epoch - first) / (last - first) * (WIDTH - left - right);
    let y = |value: f64| HEIGHT - under - value / top * (HEIGHT - above - under);
    write!(body, "<figure class=\"card\"><figcaption><b>{title}</b>")?;
    for line in lines.iter().filter(|_| lines.len() > 1) {
        write!(body, "<span class=\"key {}\">{}</span>", line.colour, line.name)?;
    }
    write!(body, "</figcaption>\n<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">")?;
    let mut value = 0.0;
    while value <= top + 0.5 * step {
        let at = y(value);
        let (end, under_left) = (WIDTH - right, left - 6.0);
        write!(body, "<path class=\"grid\" d=\"M{left} {at:.1}H{end}\"/>")?;
        write!(body, "<text x=\"{under_left}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>", at + 4.0, short(value))?;
        value += step;
    }
    let every = tick(last - first).max(1.0);
    let mut epoch = (first / every).ceil() * every;
    while epoch <= last {
        let bottom = HEIGHT - 8.0;
        write!(body, "<text x=\"{:.1}\" y=\"{bottom}\" text-anchor=\"middle\">{epoch:.0}</text>", x(epoch))?;
        epoch += every;
    }
    for Line { name, colour, points } in lines {
        let path: Vec<String> = points.iter().map(|(e, v)| format!("{:.1} {:.1}", x(*e), y(*v))).collect();
        write!(body, "<path class=\"line {colour}\" d=\"M{}\"/>", path.join("L"))?;
        for (epoch, value) in points {
            write!(
                body,
                "<circle class=\"{colour}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\"><title>epoch {epoch:.0}: {name} {}</title>\
                 </circle>",
                x(*epoch),
                y(*value),
                short(*value)
            )?;
        }
    }
    body.push_str("</svg></figure>\n");
    Ok(())
}

/// A distance between marks that gives three to six of them up to `top`, in steps of 1, 2 or 5.
fn tick(top: f64) -> f64 {
    let power = 10.0_f64.powf((top / 4.0).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
    steps.into_iter().find(|step| top / step <= 5.0).unwrap_or(10.0 * power)
}

/// Four digits at most, and no trailing zeros.
fn short(value: f64) -> String {
    if value != 0.0 && value.abs() < 1e-3 {
        return format!("{value:.1e}");
    }
    let text = format!("{value:.4}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text.is_empty() { "0".to_owned() } else { text.to_owned() }
}

/// Bars of how often the hops were right, bin by bin, against how sure they were.
pub(super) fn reliability(body: &mut String, calibration: &Calibration) -> Result<()> {
    const SIDE: f64 = 300.0;
    let [left, right, above, under] = MARGIN;
    let x = |p: f64| left + p * (SIDE - left - right);
    let y = |p: f64| SIDE - under - p * (SIDE - above - under);
    let most = calibration.bins.iter().map(|bin| bin.count).max().unwrap_or(1).max(1);
    writeln!(
        body,
        "<h2>How sure, how often right</h2>\n<div class=\"reliability\"><figure class=\"card\">\
         <svg viewBox=\"0 0 {SIDE} {SIDE}\" role=\"img\" aria-label=\"reliability diagram\">"
    )?;
    for mark in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let (at, end) = (y(mark), SIDE - right);
        write!(body, "<path class=\"grid\" d=\"M{left} {at:.1}H{end}\"/>")?;
        write!(body, "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>", left - 6.0, at + 4.0, short(mark))?;
        write!(body, "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>", x(mark), SIDE - 8.0, short(mark))?;
    }
    let wide = 1.0 / calibration.bins.len().max(1) as f64;
    for (i, bin) in calibration.bins.iter().enumerate().filter(|(_, bin)| bin.count > 0) {
        let (from, to) = (x(i as f64 * wide) + 1.0, x((i + 1) as f64 * wide) - 1.0);
        // Few hops make a pale bar.
        let share = 0.25 + 0.75 * (bin.count as f64 / most as f64).sqrt();
        write!(
            body,
            "<rect class=\"first\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" \
             fill-opacity=\"{share:.2}\"><title>{} hops, {:.1} % sure on average: {:.1} % right</title></rect>",
            y(bin.right),
            to - from,
            y(0.0) - y(bin.right),
            bin.count,
            100.0 * bin.confidence,
            100.0 * bin.right
        )?;
    }
    writeln!(
        body,
        "<path class=\"ideal\" d=\"M{:.1} {:.1}L{:.1} {:.1}\"/></svg></figure>\n<div><table>\
         <tr><td>expected calibration error</td><td>{:.4}</td></tr>\
         <tr><td>mean of the classes' errors</td><td>{:.4}</td></tr>\
         <tr><td>negative log-likelihood</td><td>{:.4}</td></tr>\
         <tr><td>Brier score</td><td>{:.4}</td></tr>\
         <tr><td>hops</td><td>{}</td></tr></table>\n\
         <p class=\"soft\">Across: how probable the answer was said to be; up: how often it was right. On the dashed \
         line a probability means what it says; bars under it are too sure. Pale bars stand for few hops.</p></div></div>",
        x(0.0),
        y(0.0),
        x(1.0),
        y(1.0),
        calibration.expected_calibration_error,
        calibration.class_mean,
        calibration.negative_log_likelihood,
        calibration.brier,
        calibration.count
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_round_numbers() {
        assert!((tick(1.0) - 0.2).abs() < 1e-12);
        assert!((tick(50.0) - 10.0).abs() < 1e-12);
        assert!((tick(0.003) - 0.001).abs() < 1e-12);
        assert_eq!(["0", "0.25", "1", "5.0e-4"].map(str::to_owned), [0.0, 0.25, 1.0, 5e-4].map(short));
    }
}
