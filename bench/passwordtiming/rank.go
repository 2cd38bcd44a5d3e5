package main

import (
	"math"
	"slices"
	"time"
)

// mannWhitney is the z value of the Mann-Whitney U test, with the correction for ties: how far the ranks of a lie above
// those of b, in standard deviations of chance. It asks nothing of the shape of the distributions, which have long tails.
func mannWhitney(a, b []time.Duration) float64 {
	type value struct {
		d     time.Duration
		fromA bool
	}
	all := make([]value, 0, len(a)+len(b))
	for _, d := range a {
		all = append(all, value{d, true})
	}
	for _, d := range b {
		all = append(all, value{d, false})
	}
	slices.SortFunc(all, func(x, y value) int { return int(x.d - y.d) })
	n, m := float64(len(a)), float64(len(b))
	rankSum, ties := 0.0, 0.0
	for i := 0; i < len(all); {
		end := i
		for end < len(all) && all[end].d == all[i].d {
			end++
		}
		rank, size := float64(i+1+end)/2, float64(end-i)
		ties += size*size*size - size
		for ; i < end; i++ {
			if all[i].fromA {
				rankSum += rank
			}
		}
	}
	u := rankSum - n*(n+1)/2
	total := n + m
	variance := n * m / 12 * (total + 1 - ties/(total*(total-1)))
	if variance <= 0 {
		return 0
	}
	return (u - n*m/2) / math.Sqrt(variance)
}

// quantile is the value below which the part q of the list lies.
func quantile(list []time.Duration, q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}
