import Glibc

exit(runOnLargeStack { GradusCommand.runMain() })
