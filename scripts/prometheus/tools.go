//go:build tools

// Package prometheus names the programs that scripts/prometheus.sh builds, so that `go mod tidy` keeps their sums.
package prometheus

import (
	_ "github.com/prometheus/prometheus/cmd/prometheus"
	_ "github.com/prometheus/prometheus/cmd/promtool"
)
