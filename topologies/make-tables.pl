#!/usr/bin/perl
# make-tables.pl - derives the latency tables in this folder from the published measurements.
#
#      data folder + the list of cities below -> world-cities | simblock-regions -> stdout
#      a table -> quantiles -> its weighted round trips, as README.md quotes them
#
# usage: topologies/make-tables.pl world-cities|simblock-regions > TABLE     (MESHTWIN_DATA is set)
#        topologies/make-tables.pl quantiles TABLE
#
# All arithmetic on round trips is in whole microseconds, so every machine writes the same bytes.
use strict;
use warnings;

# SimBlock knows no African region; these cities get this share, and its regions the rest.
my $africa_share = 0.01;
my $near_km = 100; # two measured places this close count as one city

my %make = ('world-cities' => \&make_world_cities, 'simblock-regions' => \&make_simblock);
my ($what, $table) = @ARGV;
if (@ARGV == 1 && $make{$what}) {
    my $data = $ENV{MESHTWIN_DATA} or die "make-tables.pl: MESHTWIN_DATA names no folder\n";
    $make{$what}->("$data/latency");
} elsif (@ARGV == 2 && $what eq 'quantiles') {
    print_quantiles($table);
} else {
    die "usage: make-tables.pl world-cities | simblock-regions | quantiles TABLE\n";
}

# --- world-cities ----------------------------------------------------------------------------

sub make_world_cities
{
    my ($latency) = @_;
    my @cities = read_cities();
    my $shares = read_region_column("$latency/simblock/region_bandwidth_2019.csv", 3);
    my (%measured_us, @near_us);
    for my $city (@cities) {
        $measured_us{$city->{name}} = read_pings($latency, $city->{name}, \@near_us);
    }
    @near_us = sort { $a <=> $b } @near_us;
    my $self_us = $near_us[$#near_us / 2];

    my @weights = weights_of(\@cities, $shares);
    my @rows;
    for my $from (@cities) {
        my @row;
        for my $to (@cities) {
            my ($there_us, $back_us) = map { $measured_us{$_->[0]{name}}{$_->[1]{full}} }
                [$from, $to], [$to, $from];
            if ($from == $to) {
                push @row, $self_us;
            } elsif (defined $there_us && defined $back_us) {
                push @row, int(($there_us + $back_us) / 2);
            } else {
                die "make-tables.pl: $from->{name} and $to->{name} were not measured both ways\n";
            }
        }
        push @rows, \@row;
    }
    print_table([map { $_->{name} =~ tr/A-Z /a-z-/r } @cities], \@weights, \@rows);
}

# Lines of __DATA__: name; the place as the measurements spell it; region; people in millions.
sub read_cities
{
    my @cities;
    while (my $line = <DATA>) {
        my ($name, $country, $region, $millions) = split /\s*;\s*/, $line =~ s/\n//r;
        push @cities,
            {name => $name, full => "$name $country", region => $region, people => $millions};
    }
    return @cities;
}

# Round trips in us by place, as pinged from $city; those to near places go to @$near_us too.
sub read_pings
{
    my ($latency, $city, $near_us) = @_;
    my $file = "$latency/wondernetwork/" . ($city =~ tr/ /+/r) . 'Ping.csv';
    my %average_us;
    open my $handle, '<', $file or die "$file: $!\n";
    <$handle>; # the header
    while (my $line = <$handle>) {
        my ($place, $km, $ms) = $line =~ /^"([^",]+)[^"]*",[^,]*,(\d+),[^,]*,(\d+(?:\.\d+)?),/
            or die "$file:$.: not a measurement\n";
        $average_us{$place} = int($ms * 1000 + 0.5);
        push @$near_us, $average_us{$place} if $km > 0 && $km <= $near_km;
    }
    return \%average_us;
}

sub read_region_column
{
    my ($file, $column) = @_;
    my %value;
    open my $handle, '<', $file or die "$file: $!\n";
    <$handle>; # the header
    while (my $line = <$handle>) {
        chomp $line;
        my @field = split /,/, $line;
        $value{$field[0]} = $field[$column] if @field > $column;
    }
    return \%value;
}

# A region's share of the nodes, divided among its cities by the people who live in them.
sub weights_of
{
    my ($cities, $shares) = @_;
    my %people;
    $people{$_->{region}} += $_->{people} for @$cities;
    return map {
        my $share = $_->{region} eq 'AFRICA' ? $africa_share
            : (1 - $africa_share) * $shares->{$_->{region}};
        $share * $_->{people} / $people{$_->{region}};
    } @$cities;
}

# --- simblock-regions ------------------------------------------------------------------------

sub make_simblock
{
    my ($latency) = @_;
    my $shares = read_region_column("$latency/simblock/region_bandwidth_2019.csv", 3);
    my $file = "$latency/simblock/region_latency_2019.csv";
    open my $handle, '<', $file or die "$file: $!\n";
    my (undef, @names) = split /[,\n]/, scalar <$handle>;
    my @rows;
    while (my $line = <$handle>) {
        my ($name, @ms) = split /[,\n]/, $line;
        die "$file:$.: not the row of $names[@rows]\n" if $name ne $names[@rows];
        push @rows, [map { 1000 * $_ } @ms];
    }
    print_table([map { lc s/_/-/gr } @names], [map { $shares->{$_} } @names], \@rows);
}

# --- tables ----------------------------------------------------------------------------------

sub print_table
{
    my ($names, $weights, $rows) = @_;
    print join(',', 'region', 'weight', @$names), "\n";
    for my $i (0 .. $#$names) {
        my @ms = map { sprintf '%d.%03d', int($_ / 1000), $_ % 1000 } @{$rows->[$i]};
        print join(',', $names->[$i], sprintf('%.5f', $weights->[$i]), @ms), "\n";
    }
}

# The round trip between two nodes drawn by weight, the same city allowed.
sub print_quantiles
{
    my ($file) = @_;
    open my $handle, '<', $file or die "$file: $!\n";
    <$handle>; # the header
    my @rows = map { chomp; [split /,/] } <$handle>;
    my ($total, @pairs) = (0);
    for my $row (@rows) {
        for my $i (0 .. $#rows) {
            my $weight = $row->[1] * $rows[$i][1];
            $total += $weight;
            push @pairs, [$row->[2 + $i], $weight];
        }
    }
    my $sum = 0;
    my @wanted = (0.05, 0.2, 0.5, 0.8, 0.95);
    for my $pair (sort { $a->[0] <=> $b->[0] } @pairs) {
        $sum += $pair->[1];
        while (@wanted && $sum >= $wanted[0] * $total) {
            printf "p%02.0f %.1f ms\n", 100 * shift @wanted, $pair->[0];
        }
    }
}

__DATA__
Amsterdam; Netherlands; EUROPE; 1.1
Atlanta; United States; NORTH_AMERICA; 5.6
Auckland; New Zealand; AUSTRALIA; 1.6
Bangalore; India; ASIA_PACIFIC; 11.4
Bangkok; Thailand; ASIA_PACIFIC; 10.2
Barcelona; Spain; EUROPE; 5.5
Bogota; Colombia; SOUTH_AMERICA; 10.6
Brussels; Belgium; EUROPE; 2.0
Buenos Aires; Argentina; SOUTH_AMERICA; 15.0
Cairo; Egypt; AFRICA; 20.1
Cape Town; South Africa; AFRICA; 4.4
Chicago; United States; NORTH_AMERICA; 8.9
Copenhagen; Denmark; EUROPE; 1.3
Dallas; United States; NORTH_AMERICA; 6.1
Denver; United States; NORTH_AMERICA; 2.8
Dubai; United Arab Emirates; ASIA_PACIFIC; 2.8
Dublin; Ireland; EUROPE; 1.2
Frankfurt; Germany; EUROPE; 0.8
Helsinki; Finland; EUROPE; 1.3
Hong Kong; Hong Kong; ASIA_PACIFIC; 7.4
Istanbul; Turkey; EUROPE; 14.8
Jakarta; Indonesia; ASIA_PACIFIC; 10.5
Johannesburg; South Africa; AFRICA; 5.5
Kiev; Ukraine; EUROPE; 2.9
Lagos; Nigeria; AFRICA; 13.5
Lima; Peru; SOUTH_AMERICA; 10.4
Lisbon; Portugal; EUROPE; 2.9
London; United Kingdom; EUROPE; 9.0
Los Angeles; United States; NORTH_AMERICA; 12.4
Madrid; Spain; EUROPE; 6.5
Manila; Philippines; ASIA_PACIFIC; 13.5
Melbourne; Australia; AUSTRALIA; 4.8
Miami; United States; NORTH_AMERICA; 6.0
Milan; Italy; EUROPE; 3.1
Montreal; Canada; NORTH_AMERICA; 4.2
Moscow; Russia; EUROPE; 12.4
Nairobi; Kenya; AFRICA; 4.4
New York; United States; NORTH_AMERICA; 18.8
Osaka; Japan; JAPAN; 19.3
Oslo; Norway; EUROPE; 1.0
Paris; France; EUROPE; 10.9
Prague; Czech Republic; EUROPE; 1.3
Rome; Italy; EUROPE; 4.2
San Francisco; United States; NORTH_AMERICA; 3.3
Santiago; Chile; SOUTH_AMERICA; 6.7
Sao Paulo; Brazil; SOUTH_AMERICA; 21.7
Seattle; United States; NORTH_AMERICA; 3.4
Seoul; South Korea; ASIA_PACIFIC; 10.0
Singapore; Singapore; ASIA_PACIFIC; 5.8
Stockholm; Sweden; EUROPE; 1.6
Sydney; Australia; AUSTRALIA; 4.8
Taipei; Taiwan; ASIA_PACIFIC; 2.7
Tel Aviv; Israel; EUROPE; 4.0
Tokyo; Japan; JAPAN; 37.5
Toronto; Canada; NORTH_AMERICA; 6.1
Vancouver; Canada; NORTH_AMERICA; 2.5
Vienna; Austria; EUROPE; 1.9
Warsaw; Poland; EUROPE; 1.8
Zurich; Switzerland; EUROPE; 1.4
