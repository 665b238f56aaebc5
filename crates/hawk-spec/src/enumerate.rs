//! Exact expectation by taking every branch of every random choice.

use crate::chooser::Chooser;
use crate::law::{LawError, probabilities};
use crate::token::{Cell, Code};

/// A chooser that walks all branches of a random procedure, depth first, with their probabilities.
///
/// The procedure must be a function of its choices: equal answers lead to equal questions.
///
/// ```
/// use hawk_spec::Enumerator;
///
/// let mut law_of_the_sum = [0.0; 3];
/// let mut branches = Enumerator::new();
/// while branches.next_branch() {
///     let sum = branches.pick(&[0.5, 0.5]) + branches.pick(&[0.25, 0.75]);
///     law_of_the_sum[sum] += branches.weight();
/// }
/// assert_eq!(law_of_the_sum, [0.125, 0.5, 0.375]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Enumerator {
    /// The choices of the current branch, in order.
    choices: Vec<Choice>,
    /// Number of choices that the current run has made again.
    made: usize,
    started: bool,
}

#[derive(Clone, Debug)]
struct Choice {
    law: Vec<f64>,
    taken: usize,
}

impl Enumerator {
    /// An enumerator before its first branch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes to the next branch; false after the last. The procedure runs once after each true.
    pub fn next_branch(&mut self) -> bool {
        self.made = 0;
        if !self.started {
            self.started = true;
            return true;
        }
        while let Some(choice) = self.choices.last_mut() {
            match next_possible(&choice.law, choice.taken + 1) {
                Some(option) => {
                    choice.taken = option;
                    return true;
                }
                None => drop(self.choices.pop()),
            }
        }
        false
    }

    /// The probability of the choices of this branch so far.
    #[must_use]
    pub fn weight(&self) -> f64 {
        self.choices[..self.made].iter().map(|choice| choice.law[choice.taken]).product()
    }

    /// Chooses an index with these probabilities. An index of probability 0 is never chosen.
    ///
    /// # Panics
    /// No index has a positive probability, or the procedure asks otherwise than in the branch
    /// before.
    pub fn pick(&mut self, law: &[f64]) -> usize {
        if let Some(choice) = self.choices.get(self.made) {
            assert_eq!(choice.law, law, "choice {} differs from the branch before", self.made);
        } else {
            let taken = next_possible(law, 0).expect("a law has an index of positive probability");
            self.choices.push(Choice { law: law.to_vec(), taken });
        }
        self.made += 1;
        self.choices[self.made - 1].taken
    }
}

fn next_possible(law: &[f64], from: usize) -> Option<usize> {
    (from..law.len()).find(|&index| law[index] > 0.0)
}

impl Chooser for Enumerator {
    fn replay(&mut self, _cell: Cell, scores: &[f32]) -> Result<Code, LawError> {
        let mut law = vec![0.0; scores.len()];
        probabilities(scores, &mut law)?;
        Ok(Code(self.pick(&law) as u32))
    }

    fn accept(&mut self, _cell: Cell, _candidate: u32, probability: f64) -> bool {
        self.pick(&[1.0 - probability, probability]) == 1
    }

    fn draw(&mut self, _cell: Cell, law: &[f64]) -> Code {
        Code(self.pick(law) as u32)
    }
}
