package main

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

func TestMannWhitney(t *testing.T) {
	ms := func(list ...int) (out []time.Duration) {
		for _, n := range list {
			out = append(out, time.Duration(n)*time.Millisecond)
		}
		return out
	}
	for name, c := range map[string]struct {
		a, b []time.Duration
		want float64
	}{
		"all of a above b":         {ms(4, 5, 6), ms(1, 2, 3), 1.9640},
		"all of a below b":         {ms(1, 2, 3), ms(4, 5, 6), -1.9640},
		"nothing but ties":         {ms(7, 7, 7), ms(7, 7, 7), 0},
		"the same values":          {ms(1, 2, 3, 4), ms(1, 2, 3, 4), 0},
		"ties across, worked out":  {ms(1, 2, 2), ms(2, 3, 3), -1.6499},
		"interleaved, worked out ": {ms(1, 3, 5), ms(2, 4, 6), -0.6547},
	} {
		if got := mannWhitney(c.a, c.b); math.Abs(got-c.want) > 0.001 {
			t.Errorf("%s: z = %.4f, want %.4f", name, got, c.want)
		}
	}
}

func TestPW12_TheTestSeesASmallDifferenceAndNotNoise(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	sample := func(shift time.Duration) (out []time.Duration) {
		for range 500 {
			out = append(out, 30*time.Millisecond+shift+time.Duration(math.Abs(r.NormFloat64())*float64(2*time.Millisecond)))
		}
		return out
	}
	if z := mannWhitney(sample(0), sample(0)); math.Abs(z) > 4 {
		t.Errorf("noise alone: z = %.2f", z)
	}
	if z := mannWhitney(sample(time.Millisecond), sample(0)); z < 4 {
		t.Errorf("1 ms in 30: z = %.2f, not seen", z)
	}
}
