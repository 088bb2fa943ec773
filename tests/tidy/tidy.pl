#!/usr/bin/perl
# tidy.pl - the house rules that a machine can check, each as one test in TAP.
#
# usage: tests/tidy/tidy.pl [--root FOLDER] [--release BUILD] [--test BUILD] [--only CHECK,...]
#
# --release names the build whose libnode.a is examined, --test the one that compiles every source.
# A check is a function that returns complaints; none means passed. selftest.sh shows each of them
# failing. Only modules of perl-base are used, which every Debian has.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(basename dirname);
use Getopt::Long;

my ($root, $release, $test, $only) = (abs_path(dirname(__FILE__) . '/../..'), '', '', '');
GetOptions('root=s' => \$root, 'release=s' => \$release, 'test=s' => \$test, 'only=s' => \$only)
    or exit 2;
my $home = abs_path(dirname(__FILE__)); # The lists live beside this file, whatever --root is.
($release, $test) = map { $_ eq '' ? '' : abs_path($_) // $_ } $release, $test;
chdir $root or die "$root: $!\n";

my @checks = (
    [symbols   => 'libnode.a asks nothing of the operating system', \&check_symbols],
    [globals   => 'libnode.a holds no writable data', \&check_globals],
    [library   => 'both programs link the one libnode.a', \&check_library],
    [arrows    => 'folders include only what lies below them', \&check_arrows],
    [bytes     => 'only the wire layer turns bytes into numbers', \&check_bytes],
    [calls     => 'no banned call or header', \&check_calls],
    [functions => 'no function is longer than 70 lines', \&check_functions],
    [files     => 'no source file is longer than 1000 lines', \&check_files],
    [lines     => 'lines have at most 100 columns, no tab, no blank at the end', \&check_lines],
    [openings  => 'every file says first what it is for', \&check_openings],
    [guards    => 'include guards are the path', \&check_guards],
    [typedefs  => 'typedef is for function pointers only', \&check_typedefs],
    [gotos     => 'goto is for undo only', \&check_gotos],
    [headers   => 'every header compiles alone', \&check_headers],
    [format    => 'clang-format 14 would change nothing', \&check_format],
    [targets   => 'every source is part of a CMake target', \&check_targets],
    [scenarios => 'every scenario states its thresholds', \&check_scenarios],
    [leftovers => 'no note of unfinished work', \&check_leftovers],
    [places    => 'no unlisted web host, no path of one machine', \&check_places],
    [licence   => 'LICENSE is MIT and notes the GPL libraries', \&check_licence],
    [links     => 'links between documents lead somewhere', \&check_links],
    [shell     => 'shellcheck finds nothing', \&check_shell],
);

# Words that stop the check "calls".
my $libc_calls = join '|', qw(malloc calloc realloc free printf fprintf snprintf vsnprintf puts
    fputs fopen fclose fread fwrite getenv time clock clock_gettime gettimeofday nanosleep rand
    srand random exit qsort assert pthread_\w+ socket sendto recvfrom getrandom randombytes\w*);
my $unsafe_calls = join '|', qw(strcpy strcat sprintf vsprintf gets strtok alloca atoi atol atof
    assert rand srand random drand48);
my $clock_calls = join '|', qw(time clock clock_gettime gettimeofday getrandom getpid
    randombytes_\w+);

# What lies in node/ beside libnode.a: the real world.
my $hosted = 'host|daemon|edge|lib|meshnode|sodium|cli';

my @files = list_files();
my @sources = grep { /\.[ch]$/ } @files;
my $failed = 0;
for my $check (@checks) {
    my ($name, $title, $find) = @$check;
    next if $only ne '' && ",$only," !~ /,\Q$name\E,/;
    my @complaints = $find->();
    if (@complaints && $complaints[0] =~ /^SKIP (.*)/) {
        print "ok - $name: $title # SKIP $1\n";
    } elsif (@complaints) {
        print "not ok - $name: $title\n", map { "#   $_\n" } @complaints;
        $failed = 1;
    } else {
        print "ok - $name: $title\n";
    }
}
exit $failed;

# --- reading ---------------------------------------------------------------------------------

# What is in the repository or about to be; without git, what lies here.
sub list_files
{
    my @found = -e '.git' ? capture('git ls-files --cached --others --exclude-standard') : ();
    @found = walk('.') if !@found;
    return sort grep { -f && !-l } @found;
}

sub walk
{
    my ($folder) = @_;
    my @found;
    opendir my $handle, $folder or die "$folder: $!\n";
    for my $entry (sort readdir $handle) {
        next if $entry =~ /^(\.\.?|\.git|build|results|node_modules)$/;
        my $path = $folder eq '.' ? $entry : "$folder/$entry";
        push @found, -d $path ? walk($path) : $path;
    }
    return @found;
}

sub text_of
{
    my ($file) = @_;
    open my $handle, '<', $file or die "$file: $!\n";
    local $/;
    return scalar(<$handle>) // '';
}

sub lines_of
{
    return split /\n/, text_of($_[0]);
}

# C without comments and without what stands between quotes; line numbers stay true.
sub code_of
{
    my $text = text_of($_[0]);
    $text =~ s{(/\*.*?\*/|//[^\n]*)|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'}
              {defined $1 ? $1 =~ s/[^\n]//gr : '""'}gse;
    return split /\n/, $text;
}

sub capture
{
    my ($command) = @_;
    my @lines = `$command`;
    chomp @lines;
    return @lines;
}

# The words of a list beside this file, without comments.
sub list_of
{
    my ($name) = @_;
    return map { split } map { s/#.*//r } lines_of("$home/$name");
}

# Runs $match->(line) on each line of code in @$names; what it returns is a complaint.
sub complain_per_line
{
    my ($names, $match) = @_;
    my @complaints;
    for my $file (@$names) {
        my $number = 0;
        for my $line (code_of($file)) {
            $number++;
            my $complaint = $match->($line, $file);
            push @complaints, "$file:$number: $complaint" if $complaint;
        }
    }
    return @complaints;
}

# --- the node library ------------------------------------------------------------------------

# One record per symbol of libnode.a: {name, type, section}.
sub node_symbols
{
    my $archive = "$release/libnode.a";
    die "tidy.pl: no $archive: name the release build with --release\n" if !-e $archive;
    my @symbols;
    for my $line (capture("nm --format=sysv '$archive'")) {
        my @field = map { s/^\s+|\s+$//gr } split /\|/, $line;
        push @symbols, {name => $field[0], type => $field[2], section => $field[6]}
            if @field == 7 && $field[0] ne 'Name';
    }
    return @symbols;
}

sub check_symbols
{
    my @symbols = node_symbols();
    my %defined = map { $_->{name} => 1 } grep { $_->{type} ne 'U' } @symbols;
    my %allowed = map { $_ => 1 } list_of('libnode-symbols.txt');
    my %wanted = map { $_->{name} => 1 } grep { $_->{type} eq 'U' } @symbols;
    return map { "libnode.a wants $_: not in tests/tidy/libnode-symbols.txt" }
        grep { !$defined{$_} && !$allowed{$_} } sort keys %wanted;
}

# .data.rel.ro is constant once the loader has placed it: tables of pointers live there.
sub check_globals
{
    return map { "libnode.a holds the variable $_->{name} in $_->{section}" }
        grep { $_->{section} =~ /^(\.t?(data|bss)(?!\.rel\.ro)|\*COM\*)/ } node_symbols();
}

# What a program links, by the rule that makes it: the archive itself, and no module of it besides.
# Only what the real suite and the command lines need lies in archives of its own: the same objects.
sub check_library
{
    my $text = text_of("$release/build.ninja");
    my @complaints;
    for my $program ('meshtwin', 'meshnode') {
        my ($inputs) = $text =~ /^build \Q$program\E: (.*?)(?: \|\| .*)?$/m;
        my @archives = grep { /\blibnode(_\w+)?\.a$/ } split ' ', $inputs // '';
        push @complaints, "$program does not link libnode.a"
            if !grep { $_ eq 'libnode.a' } @archives;
        push @complaints, map { "$program links $_ beside libnode.a" }
            grep { !/^libnode(_(base|wire|$hosted))?\.a$/ } @archives;
    }
    return @complaints;
}

# --- what may use what -----------------------------------------------------------------------

# FOLDER => {every folder it may include from}: the lines of arrows.txt, followed to their ends.
sub allowed_arrows
{
    my (%below, %allowed);
    for my $line (lines_of("$home/arrows.txt")) {
        $below{$1} = [split ' ', $2] if $line =~ /^([^#:\s]+):\s*(.*)$/;
    }
    for my $folder (keys %below) {
        my @waiting = $folder;
        while (defined(my $next = shift @waiting)) {
            push @waiting, @{$below{$next} // []} if !$allowed{$folder}{$next}++;
        }
    }
    return %allowed;
}

sub check_arrows
{
    my %allowed = allowed_arrows();
    my @complaints;
    for my $file (grep { m{^(node|sim|analysis)/} } @sources) {
        my $folder = dirname($file);
        if (!$allowed{$folder}) {
            push @complaints, "$file:1: tests/tidy/arrows.txt has no line for $folder";
            next;
        }
        my $number = 0;
        for my $line (lines_of($file)) {
            $number++;
            next if $line !~ /^\s*#\s*include\s+"([^"]+)"/;
            my ($target, $from) = ($1, dirname($1));
            if (!-e $target) {
                push @complaints, "$file:$number: \"$target\" is not a path from the root";
            } elsif (!$allowed{$folder}{$from}) {
                push @complaints, "$file:$number: $folder may not include from $from";
            }
        }
    }
    return @complaints;
}

sub check_bytes
{
    my $exempt = qr{^(node/(?:wire|base|$hosted)/|node/transport/noise|sim/(?:host|engine)/)};
    my @watched = grep { m{^(node|sim)/} && $_ !~ $exempt } @sources;
    return complain_per_line(\@watched, sub {
        my ($line) = @_;
        return "$1 belongs in node/wire" if $line =~ /\b(hton[sl]|ntoh[sl]|[bl]e(?:16|32|64)toh)\b/;
        return 'bytes are put together in node/wire'
            if $line =~ /\]\s*\)?\s*<<\s*(8|16|24|32|40|48|56)\b/
            || $line =~ /<<\s*8\s*\)*\s*\|\s*[\w.>-]+\[/;
        return 'numbers are taken apart in node/wire'
            if $line =~ /\(uint8_t\)\s*\([^()]*>>\s*(8|16|24|32|40|48|56)\b/;
        return '';
    });
}

sub check_calls
{
    return complain_per_line([grep { m{^(node|sim|analysis)/} } @sources], sub {
        my ($line, $file) = @_;
        my $is_node = $file =~ m{^node/(?!(?:$hosted)/)};
        return "$1 is unsafe or drawn from the wrong dice" if $line =~ /\b($unsafe_calls)\s*\(/;
        return "$1 may not be called in node/" if $is_node && $line =~ /\b($libc_calls)\s*\(/;
        return "<$1.h> may not be included in node/"
            if $is_node && $line =~ m{^\s*\#\s*include\s+<(std(?:io|lib)|time|unistd|errno|pthread
                                      |signal|threads|locale|assert|sys/\w+|netinet/\w+)\.h>}x;
        return "$1 gives a run something no seed controls"
            if $file =~ m{^sim/(?!cli/|live/|result/)} && $line =~ /\b($clock_calls)\s*\(/;
        return '';
    });
}

# --- shape -----------------------------------------------------------------------------------

sub check_functions
{
    my @complaints;
    for my $file (@sources) {
        my ($number, $start) = (0, 0);
        for my $line (lines_of($file)) {
            $number++;
            $start = $number if $line eq '{';
            if ($line eq '}' && $start > 0) {
                my $length = $number - $start + 1;
                push @complaints, "$file:$start: $length lines" if $length > 70;
                $start = 0;
            }
        }
    }
    return @complaints;
}

sub check_files
{
    my %length = map { $_ => scalar(my @lines = lines_of($_)) }
        grep { /\.(c|h|sh|pl|mjs)$/ || m{(^|/)CMakeLists\.txt$} } @files;
    return map { "$_: $length{$_} lines" } grep { $length{$_} > 1000 } sort keys %length;
}

sub check_lines
{
    my @complaints;
    for my $file (grep { /\.(c|h|sh|pl|mjs|jsonc|txt)$/ && !m{^tests/(golden|fuzz)/} } @files) {
        my $text = text_of($file);
        push @complaints, "$file: no newline at the end" if $text !~ /\n\z/;
        my $number = 0;
        for my $line (split /\n/, $text) {
            $number++;
            my $columns = () = $line =~ /[^\x80-\xbf]/g; # UTF-8 continuations take no column
            push @complaints, "$file:$number: $columns columns" if $columns > 100;
            push @complaints, "$file:$number: tab" if $line =~ /\t/;
            push @complaints, "$file:$number: blank at the end" if $line =~ /\s$/;
        }
    }
    return @complaints;
}

# A header's opening is prose: what it does, what it does not, the way of its data.
sub check_openings
{
    my @complaints;
    for my $file (grep { /\.(c|h|sh|pl|mjs)$/ } @files) {
        my $name = basename($file);
        my $text = text_of($file);
        if ($file =~ /\.[ch]$/ && $text !~ m{\A/\* \Q$name\E - \S}) {
            push @complaints, "$file:1: does not open with /* $name - what it is for";
        } elsif ($file =~ /\.h$/ && $text !~ m{\A/\*[^\n]+\n(?: \*[^\n]*\n){2,} ?\*/\n}) {
            push @complaints, "$file:1: opens without a paragraph about what it does";
        } elsif ($file =~ /\.(sh|pl)$/ && $text !~ /\A#[^\n]*\n# \Q$name\E - \S/) {
            push @complaints, "$file:2: is not # $name - what it is for";
        } elsif ($file =~ /\.mjs$/ && $text !~ m{\A(#![^\n]*\n)?//? ?\*? ?\Q$name\E - \S}) {
            push @complaints, "$file:1: does not open with // $name - what it is for";
        }
    }
    return @complaints;
}

sub check_guards
{
    my @complaints;
    for my $file (grep { /\.h$/ } @files) {
        my $guard = uc($file =~ s{[/.-]}{_}gr);
        push @complaints, "$file: the guard is not $guard"
            if text_of($file) !~ /^#ifndef $guard\n#define $guard\n/m;
    }
    return @complaints;
}

sub check_typedefs
{
    my @complaints;
    for my $file (@sources) {
        my $code = join "\n", code_of($file);
        while ($code =~ /^\s*(typedef\b[^;{]*)/mg) {
            my $line = 1 + (substr($code, 0, $-[1]) =~ tr/\n//);
            push @complaints, "$file:$line: $1" if $1 !~ /\(\s*\*?\w+_fn\)\s*\(/;
        }
    }
    return map { s/\n\s*/ /gr } @complaints;
}

sub check_gotos
{
    return complain_per_line(\@sources, sub {
        return $_[0] =~ /\bgoto\s+(?!undo\b)(\w+)/ ? "goto $1" : '';
    });
}

# --- tools -----------------------------------------------------------------------------------

sub check_headers
{
    my $flags = join ' ',
        capture('pkg-config --cflags libsodium gsl sqlite3 libcjson libuv criterion');
    my @complaints;
    for my $file (grep { /\.h$/ } @files) {
        my @output = capture("gcc -std=c11 -D_POSIX_C_SOURCE=200809L -Wall -Wextra -Werror -I. "
            . "$flags -fsyntax-only -include '$file' -x c /dev/null 2>&1");
        push @complaints, map { "$file: $_" } @output if $? != 0;
    }
    return @complaints;
}

sub check_format
{
    my ($tool) = grep { (capture("$_ --version 2>/dev/null"))[0] // '' =~ /version 14\./ }
        qw(clang-format-14 clang-format);
    return "SKIP clang-format 14 is not installed, and others format differently"
        if !defined $tool || (capture("$tool --version"))[0] !~ /version 14\./;
    return () if !@sources;
    my @output = capture("$tool --style=file --dry-run -Werror @sources 2>&1");
    my %changed = map { /^([^:]+):\d+:\d+: error:/ ? ($1 => 1) : () } @output;
    return map { "clang-format would change $_" } sort keys %changed;
}

# Fuzz targets have a build of their own, and test.sh builds each of them.
sub check_targets
{
    my $database = "$test/compile_commands.json";
    die "tidy.pl: no $database: name the test build with --test\n" if !-e $database;
    my %compiled = map { /"file": "(.*)"/ ? ($1 => 1) : () } lines_of($database);
    my $here = abs_path('.');
    return map { "$_ is compiled by no target" }
        grep { /\.c$/ && !m{^tests/fuzz/} && !$compiled{"$here/$_"} } @sources;
}

sub check_shell
{
    my @scripts = grep { /\.sh$/ || (!/\.\w+$/ && (lines_of($_))[0] =~ m{^#!/bin/(ba)?sh}) }
        grep { -s } @files;
    return () if !@scripts;
    my @output = capture("shellcheck --external-sources --format=gcc @scripts 2>&1");
    return $? != 0 ? @output : ();
}

# --- data and documents ----------------------------------------------------------------------

sub check_scenarios
{
    my @complaints;
    for my $file (grep { m{^scenarios/[^/]+\.jsonc?$} } @files) {
        push @complaints, "$file: no thresholds"
            if join("\n", code_keeping_strings($file)) !~ /"thresholds"\s*:\s*\{\s*"/;
    }
    return @complaints;
}

sub code_keeping_strings
{
    my $text = text_of($_[0]);
    $text =~ s{("(?:\\.|[^"\\\n])*")|/\*.*?\*/|//[^\n]*}{$1 // ''}gse;
    return split /\n/, $text;
}

# The words are put together so that this file passes too.
sub check_leftovers
{
    my $words = join '|', 'TO' . 'DO', 'FIX' . 'ME', 'XX' . 'X', 'HA' . 'CK';
    my @complaints;
    for my $file (grep { !m{^tests/(golden|fuzz)/} } @files) {
        my $number = 0;
        for my $line (lines_of($file)) {
            $number++;
            push @complaints, "$file:$number: $1" if $line =~ /\b($words)\b/;
        }
    }
    return @complaints;
}

sub check_places
{
    my %known = map { $_ => 1 } list_of('hosts.txt');
    my @complaints;
    for my $file (@files) {
        my $number = 0;
        for my $line (lines_of($file)) {
            $number++;
            while ($line =~ m{\bhttps?://([\w.-]+)}g) {
                push @complaints, "$file:$number: host $1 is not in tests/tidy/hosts.txt"
                    if !$known{$1};
            }
            push @complaints, "$file:$number: the path $1 exists on one machine only"
                if $line =~ m{(?<![\w.~\$\}-])(/(?:work|home|root)/[\w.-]+)};
        }
    }
    return @complaints;
}

sub check_licence
{
    return 'there is no LICENSE' if !-e 'LICENSE';
    my $text = text_of('LICENSE');
    return ($text =~ /\AMIT License\n/ ? () : 'LICENSE does not open with "MIT License"',
            $text =~ /GNU Scientific Library/ && $text =~ /GPL/ ? ()
                : 'LICENSE does not say what linking the GNU Scientific Library means');
}

sub check_links
{
    my @complaints;
    for my $file (grep { /\.md$/ } @files) {
        my $number = 0;
        for my $line (lines_of($file)) {
            $number++;
            while ($line =~ /\]\(([^)#\s]+)[^)]*\)/g) {
                my $target = $1;
                push @complaints, "$file:$number: no $target"
                    if $target !~ /^\w+:/ && !-e dirname($file) . "/$target";
            }
        }
    }
    return @complaints;
}
