//! Axes, gaps and stacks.

use super::*;

#[test]
fn axes_have_three_to_six_marks() {
    for max in [0.004, 0.87, 1.0, 1.2, 3.0, 7.0, 42.0, 99.0, 100.0, 20_052.0] {
        let marks = (max / step(max)).ceil();
        assert!((2.0..=5.0).contains(&marks), "{max}: {marks}");
    }
}

#[test]
fn a_given_top_is_a_tick() {
    for (top, wanted) in [(1.2, Some(0.4)), (100.0, Some(25.0)), (1.0, Some(0.25)), (0.7, None)] {
        let step = even_step(top);
        let same = step.zip(wanted).map_or(step == wanted, |(a, b)| (a - b).abs() < 1e-9);
        assert!(same, "{top}: {step:?}");
    }
}

#[test]
fn missing_time_is_a_gap() {
    let values = [(0.0, Some(1.0)), (1.0, None), (2.0, Some(2.0)), (3.0, Some(3.0)), (4.0, Some(f64::NAN))];
    let lengths: Vec<usize> = chart_plot::runs(values.into_iter()).iter().map(Vec::len).collect();
    assert_eq!(lengths, [1, 2]);
}

#[test]
fn a_stack_is_unknown_where_a_part_is() {
    let series =
        |values: [Option<f64>; 2]| Series { name: String::new(), points: vec![(0.0, values[0]), (1.0, values[1])], hue: Hue::Rest, modelled: false };
    let data = ChartData {
        title: String::new(),
        caption: String::new(),
        conclusion: String::new(),
        kind: ChartKind::Stacked,
        series: vec![series([Some(1.0), Some(1.0)]), series([Some(2.0), None])],
        y_max: None,
        target: None,
        x_ticks: Vec::new(),
        y_words: |y| y.to_string(),
        y_tick: |y, _| y.to_string(),
        x_words: |x| x.to_string(),
    };
    assert_eq!(stacked(&data)[1], [Some(3.0), None]);
}
