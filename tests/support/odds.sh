# shellcheck shell=bash
# odds.sh - what a number of successes says of the rate behind it. Sourced, never run.

# hits_wanted RUNS SOCKETS PROBES prints theory, and the least number of successes of so many
# runs that lies in the binomial 99.9 % interval around it. 64512 ports (1024..65535) to draw from;
# probes do not repeat themselves.
hits_wanted()
{
    perl -e '
        my ($runs, $sockets, $probes) = @ARGV;
        my $miss = 1;
        $miss *= 1 - $sockets / (64512 - $_) for 0 .. $probes - 1;
        my ($failures, $term) = (0, (1 - $miss) ** $runs);
        my $sum = $term;
        while ($sum < 0.9995) {
            $failures++;
            $term *= ($runs - $failures + 1) / $failures * $miss / (1 - $miss);
            $sum += $term;
        }
        printf "%.4f %d\n", 1 - $miss, $runs - $failures;
    ' "$@"
}

# wilson SUCCESSES RUNS prints the 95 % score interval of the rate.
wilson()
{
    perl -e '
        my ($k, $n, $z) = (@ARGV, 1.96);
        my $centre = ($k + $z * $z / 2) / ($n + $z * $z);
        my $half = $z / ($n + $z * $z) * sqrt($k * ($n - $k) / $n + $z * $z / 4);
        printf "%.3f..%.3f\n", $centre - $half, $centre + $half;
    ' "$@"
}

# overlap ONE OTHER: two intervals as wilson prints them have something in common.
overlap()
{
    awk -v one="$1" -v other="$2" 'BEGIN {
        split(one, a, /\.\./)
        split(other, b, /\.\./)
        exit !(a[1] <= b[2] && b[1] <= a[2])
    }'
}
