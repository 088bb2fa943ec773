#!/usr/bin/perl
# writer.pl - publishes rising numbers through a node's control socket until the node is gone, and
# prints the key and number of each that was acknowledged.
#
# usage: writer.pl SOCKET FIRST     one publication of each salt is under way all the time
use strict;
use warnings;
use IO::Socket::UNIX;

my ($path, $number) = @ARGV;
my $salts = 8;
my %published;
$| = 1;
$SIG{PIPE} = 'IGNORE';

my $socket = IO::Socket::UNIX->new(Peer => $path) or exit 0;

sub publish
{
    my ($salt) = @_;
    $published{$salt} = ++$number;
    print {$socket} qq({"id": $salt, "verb": "publish", )
        . qq("words": ["--salt", "$salt", "$number"]}\n) or exit 0;
    $socket->flush;
}

publish($_) for 0 .. $salts - 1;
while (my $line = <$socket>) {
    last if $line !~ /\n\z/;
    my ($salt) = $line =~ /"id":\s*(\d+)/;
    my ($key) = $line =~ /"key":\s*"([0-9a-f]{40})"/;
    print "$key $published{$salt}\n" if $line =~ /"ok":\s*true/ && defined $key;
    publish($salt);
}
