package ledger

import (
	"maps"
	"math"
	"slices"
	"time"
)

// Times are kept as counts by bucket, so that days add up. Bucket 0 holds what took at most shortest, bucket i up to
// buckets what took at most shortest·widthⁱ, the last one everything longer than longest.
const (
	shortest = 100 * time.Millisecond
	longest  = time.Hour
	buckets  = 140
)

// width is how far apart the ends of a bucket are: under 8 %, which bounds the error of a Quantile.
var width = math.Pow(float64(longest)/float64(shortest), 1.0/buckets)

// end is the longest time of a bucket.
func end(bucket int) float64 { return float64(shortest) * math.Pow(width, float64(bucket)) }

// Bucket is where a time is counted.
func Bucket(d time.Duration) int {
	switch {
	case d <= shortest:
		return 0
	case d > longest:
		return buckets + 1
	}
	i := int(math.Ceil(math.Log(float64(d)/float64(shortest)) / math.Log(width)))
	for i > 1 && float64(d) <= end(i-1) { // the logarithm may be off by one at an edge
		i--
	}
	for i < buckets && float64(d) > end(i) {
		i++
	}
	return i
}

// Quantile is the time that a part q (0 to 1) of the counted ones did not exceed, found between the ends of its bucket by
// interpolation: from 100 ms to an hour it is at most 8 % off. Longer ones are told as an hour. counted is false when
// nothing was.
func Quantile(counts map[int]int, q float64) (d time.Duration, counted bool) {
	total := 0
	for _, n := range counts {
		total += n
	}
	if total == 0 {
		return 0, false
	}
	wanted, before := q*float64(total), 0
	for _, i := range slices.Sorted(maps.Keys(counts)) {
		n := counts[i]
		if n > 0 && float64(before+n) >= wanted {
			return within(i, max(0, wanted-float64(before))/float64(n)), true
		}
		before += n
	}
	return longest, true
}

// within is a time in a bucket, part of the way from its beginning to its end.
func within(bucket int, part float64) time.Duration {
	switch {
	case bucket <= 0:
		return time.Duration(part * float64(shortest))
	case bucket > buckets:
		return longest
	default:
		return time.Duration(end(bucket-1) * math.Pow(width, part))
	}
}

// Middle is a time that stands for a bucket: halfway between its ends.
func Middle(bucket int) time.Duration { return within(bucket, 0.5) }
