//! How many times are how long, in bins whose borders people can read.

/// Borders for times that differ by orders of magnitude, in milliseconds.
const BORDERS_MS: &[u64] = &[
    0,
    1,
    2,
    3,
    5,
    7,
    10,
    15,
    20,
    30,
    50,
    70,
    100,
    150,
    200,
    300,
    500,
    700,
    1_000,
    1_500,
    2_000,
    3_000,
    5_000,
    7_000,
    10_000,
    15_000,
    20_000,
    30_000,
    45_000,
    60_000,
    90_000,
    120_000,
    180_000,
    300_000,
    420_000,
    600_000,
    900_000,
    1_200_000,
    1_800_000,
    2_700_000,
    3_600_000,
    5_400_000,
    7_200_000,
    10_800_000,
    14_400_000,
    21_600_000,
    28_800_000,
    43_200_000,
    64_800_000,
    86_400_000,
    172_800_000,
    259_200_000,
    432_000_000,
    604_800_000,
    864_000_000,
    1_209_600_000,
    1_814_400_000,
    2_592_000_000,
];
/// Bins of equal width, about, where the longest are not much longer than the shortest: fewer if
/// there is little to put into them.
const EQUAL_BINS_MAX: u64 = 25;
const EQUAL_BINS_MIN: u64 = 6;
/// Beyond this ratio equal bins would be empty, but for the first.
const RATIO_MAX: u64 = 12;

#[derive(Debug, PartialEq, Eq)]
pub struct Histogram {
    /// Bin `i` has what is at least `borders[i]` and less than `borders[i + 1]`; the last has the rest.
    pub borders_ms: Vec<u64>,
    pub counts: Vec<u64>,
}

/// Of sorted times.
pub fn histogram(sorted_ms: &[u64]) -> Histogram {
    let (Some(&min), Some(&max)) = (sorted_ms.first(), sorted_ms.last()) else {
        return Histogram { borders_ms: Vec::new(), counts: Vec::new() };
    };
    let aim = (2 * sorted_ms.len().isqrt() as u64).clamp(EQUAL_BINS_MIN, EQUAL_BINS_MAX);
    let is_even = max / min.max(1) < RATIO_MAX && max - min >= aim;
    let borders_ms: Vec<u64> = match is_even {
        true => {
            let step = nice(((max - min) / aim).max(1));
            (min / step..=max / step + 1).map(|count| count * step).collect()
        }
        false => {
            let first = BORDERS_MS.partition_point(|&border| border <= min).saturating_sub(1);
            let after = BORDERS_MS.partition_point(|&border| border <= max);
            BORDERS_MS[first..(after + 1).min(BORDERS_MS.len())].to_vec()
        }
    };
    let bins = (borders_ms.len() - 1).max(1);
    let mut counts = vec![0; bins];
    for &ms in sorted_ms {
        let bin = borders_ms.partition_point(|&border| border <= ms).saturating_sub(1);
        counts[bin.min(bins - 1)] += 1;
    }
    Histogram { borders_ms, counts }
}

/// 1, 2 or 5 times a power of ten, not less than `step`; of seconds and more, what a clock has.
pub fn nice(step: u64) -> u64 {
    if step > 10_000 {
        let later = BORDERS_MS.iter().find(|&&border| border >= step);
        return later.copied().unwrap_or(step);
    }
    let power = 10_u64.pow(step.max(1).ilog10());
    [1, 2, 5, 10].iter().map(|&digit| digit * power).find(|&nice| nice >= step).unwrap_or(step)
}

/// The value below which that part of the sorted values lies; 0 of none.
pub fn quantile(sorted: &[u64], part: f64) -> u64 {
    let at = (sorted.len() as f64 * part) as usize;
    sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_one_kind_get_equal_bins() {
        let times: Vec<u64> = (0..1000).map(|n| 50_000 + n * 20).collect();
        let histogram = histogram(&times);
        assert_eq!(histogram.borders_ms[..2], [50_000, 51_000]);
        assert_eq!(histogram.counts[0], 50);
        assert_eq!(histogram.counts.iter().sum::<u64>(), 1000);
    }

    #[test]
    fn times_of_all_kinds_get_borders_that_grow() {
        let histogram = histogram(&[0, 3, 700, 90_000, 4_000_000_000]);
        assert_eq!(histogram.borders_ms[..4], [0, 1, 2, 3]);
        assert_eq!(histogram.counts.iter().sum::<u64>(), 5);
        assert_eq!((histogram.counts[0], histogram.counts[3]), (1, 1));
        assert_eq!(histogram.counts.last(), Some(&1), "what is beyond all borders");
    }

    #[test]
    fn few_or_no_times_are_no_problem() {
        assert!(histogram(&[]).counts.is_empty());
        assert_eq!(histogram(&[0]).counts, [1]);
        assert_eq!(histogram(&[7, 7]).counts, [2]);
        assert_eq!(histogram(&[5_000_000_000]).counts, [1]);
    }

    #[test]
    fn quantiles() {
        let sorted: Vec<u64> = (0..100).collect();
        assert_eq!(
            (quantile(&sorted, 0.5), quantile(&sorted, 1.0), quantile(&[], 0.5)),
            (50, 99, 0)
        );
    }
}
