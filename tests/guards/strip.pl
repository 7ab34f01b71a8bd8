# Blanks the comments, strings and character constants of C files, keeping every line where it was. Prints "file:line:text".
use strict;
use warnings;
for my $file (@ARGV) {
    open my $in, '<', $file or die "$file: $!\n";
    local $/;
    my $text = <$in>;
    close $in;
    $text =~ s{(/\*.*?\*/|//[^\n]*)|("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')}
              {defined $2 ? '""' : "\n" x ($1 =~ tr/\n//)}gse;
    my $line = 0;
    print "$file:" . ++$line . ":$_\n" for split /\n/, $text, -1;
}
