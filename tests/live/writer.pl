#!/usr/bin/perl
# writer.pl - writes values through a node's control socket until the node is gone, and prints the
# key and value of each that was acknowledged.
#
# usage: writer.pl SOCKET PREFIX     several puts are under way all the time
use strict;
use warnings;
use IO::Socket::UNIX;

my ($path, $prefix) = @ARGV;
my $under_way_max = 8;
$| = 1;
$SIG{PIPE} = 'IGNORE';

my $socket = IO::Socket::UNIX->new(Peer => $path) or exit 1;
my ($number, $under_way) = (0, 0);

sub put
{
    $number++;
    $under_way++;
    print {$socket} qq({"id": $number, "verb": "put", "words": ["$prefix-$number"]}\n)
        or exit 0;
    $socket->flush;
}

put() while $under_way < $under_way_max;
while (my $line = <$socket>) {
    last if $line !~ /\n\z/;
    my ($id) = $line =~ /"id":\s*(\d+)/;
    my ($key) = $line =~ /"key":\s*"([0-9a-f]{40})"/;
    print "$key $prefix-$id\n" if $line =~ /"ok":\s*true/ && defined $key;
    $under_way--;
    put();
}
