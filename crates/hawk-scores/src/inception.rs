//! The Inception v3 of FID: the network of 2015 whose pools differ from torchvision's.

use std::path::Path;

use candle_core::{Device, Tensor};
use hawk_files::{Checkpoint, Error, Result, hex};
use hawk_nn::Image;
use sha2::{Digest, Sha256};

use crate::tensors::{broken, check, have_threads, numbers, planes, read};

/// Features of a picture: the means of the last feature maps.
pub const FEATURES: usize = 2048;
/// Side of the pictures that the network sees.
const SIDE: usize = 299;
/// Classes of the network that FID is defined with. torchvision's network has 1000.
const CLASSES: usize = 1008;
/// Of all batch norms.
const EPSILON: f64 = 1e-3;
/// For messages.
const WHAT: &str = "Inception";

/// FID's Inception.
pub struct Inception {
    blocks: Vec<Block>,
    digest: String,
}

/// Branches on one input; their results are one behind the other in the channels.
struct Block(Vec<Branch>);

/// A pool, convolutions one after another, and convolutions beside each other on what comes out.
#[derive(Default)]
struct Branch {
    pool: Option<Pool>,
    chain: Vec<Conv>,
    beside: Vec<Conv>,
}

/// A window of 3 x 3.
#[derive(Clone, Copy)]
enum Pool {
    /// The mean of the pixels inside the picture, at every pixel.
    Mean,
    /// The largest, at every pixel.
    Largest,
    /// The largest, at every second pixel whose window lies inside.
    Halve,
}

/// A convolution without its batch norm, which is in the weights, and a ReLU.
struct Conv {
    weight: Tensor,
    bias: Tensor,
    stride: usize,
    /// Rows and columns of zeros around the picture.
    around: [usize; 2],
}

/// The window of a convolution.
#[derive(Clone, Copy)]
enum Window {
    /// Rows and columns, at every pixel.
    Same(usize, usize),
    /// Side, where the window lies inside.
    Inside(usize),
    /// 3 x 3 at every second pixel, where the window lies inside.
    Halve,
}

/// Names the convolutions of a block and reads them.
struct Reader<'a> {
    checkpoint: &'a Checkpoint,
    digest: Sha256,
    block: &'static str,
}

impl Inception {
    /// Reads the weights that FID is defined with, in the names of pytorch-fid: `pt_inception-2015-12-05-6726825d.pth`,
    /// or the same tensors as safetensors.
    ///
    /// # Errors
    /// The file cannot be read or has other weights, or the system refuses threads.
    pub fn open(path: &Path) -> Result<Self> {
        have_threads()?;
        let checkpoint = Checkpoint::open_file(path)?;
        check_classes(&checkpoint).map_err(|e| e.at(path.display()))?;
        let mut reader = Reader { checkpoint: &checkpoint, digest: Sha256::new(), block: "" };
        let blocks = reader.blocks().map_err(|e| {
            e.at(path.display())
                .hint("the weights of FID are pt_inception-2015-12-05-6726825d.pth, which pytorch-fid has")
        })?;
        Ok(Self { blocks, digest: hex(&reader.digest.finalize()) })
    }

    /// SHA-256 over the weights.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The features of a picture of any size, [`FEATURES`] of them. It is brought to 299 x 299 pixels by linear
    /// interpolation, without a filter, as pytorch-fid does.
    ///
    /// # Errors
    /// The picture does not have its pixels, or the weights give numbers that are not finite.
    pub fn features(&self, picture: &Image) -> Result<Vec<f32>> {
        check(picture)?;
        numbers(WHAT, self.run(picture))
    }

    fn run(&self, picture: &Image) -> candle_core::Result<Tensor> {
        let mut x = planes(picture, &|_, level| level / 255.0)?;
        if x.dims()[2..] != [SIDE, SIDE] {
            x = x.upsample_bilinear2d(SIDE, SIDE, false)?;
        }
        let mut x = x.affine(2.0, -1.0)?;
        for block in &self.blocks {
            x = block.run(&x)?;
        }
        x.mean((2, 3))
    }
}

/// Tells torchvision's network from FID's: its tensors have the same names.
fn check_classes(checkpoint: &Checkpoint) -> Result<()> {
    let expected = format!("fc.weight of {CLASSES} x {FEATURES}");
    match checkpoint.shape("fc.weight") {
        Some([CLASSES, FEATURES]) => Ok(()),
        Some([1000, FEATURES]) => Err(Error::input("these are torchvision's weights of Inception, not those of FID")
            .expected(expected)
            .got("1000 classes")
            .hint("the weights of FID are pt_inception-2015-12-05-6726825d.pth, which pytorch-fid has")),
        other => Err(Error::input("these are not the weights of FID's Inception")
            .expected(expected)
            .got(other.map_or("no such tensor".to_owned(), |shape| format!("{shape:?}")))
            .hint("the weights of FID are pt_inception-2015-12-05-6726825d.pth, which pytorch-fid has")),
    }
}

impl Reader<'_> {
    fn blocks(&mut self) -> Result<Vec<Block>> {
        use Window::{Halve, Inside, Same};
        let mut blocks = vec![
            self.single("Conv2d_1a_3x3", 3, 32, Halve)?,
            self.single("Conv2d_2a_3x3", 32, 32, Inside(3))?,
            self.single("Conv2d_2b_3x3", 32, 64, Same(3, 3))?,
            halve(),
            self.single("Conv2d_3b_1x1", 64, 80, Same(1, 1))?,
            self.single("Conv2d_4a_3x3", 80, 192, Inside(3))?,
            halve(),
        ];
        for (name, inputs, pooled) in [("Mixed_5b", 192, 32), ("Mixed_5c", 256, 64), ("Mixed_5d", 288, 64)] {
            self.block = name;
            blocks.push(Block(vec![
                self.branch(&[("branch1x1", inputs, 64, Same(1, 1))])?,
                self.branch(&[("branch5x5_1", inputs, 48, Same(1, 1)), ("branch5x5_2", 48, 64, Same(5, 5))])?,
                self.branch(&[
                    ("branch3x3dbl_1", inputs, 64, Same(1, 1)),
                    ("branch3x3dbl_2", 64, 96, Same(3, 3)),
                    ("branch3x3dbl_3", 96, 96, Same(3, 3)),
                ])?,
                self.pooled(Pool::Mean, inputs, pooled)?,
            ]));
        }
        self.block = "Mixed_6a";
        blocks.push(Block(vec![
            self.branch(&[("branch3x3", 288, 384, Halve)])?,
            self.branch(&[
                ("branch3x3dbl_1", 288, 64, Same(1, 1)),
                ("branch3x3dbl_2", 64, 96, Same(3, 3)),
                ("branch3x3dbl_3", 96, 96, Halve),
            ])?,
            Branch { pool: Some(Pool::Halve), ..Branch::default() },
        ]));
        for (name, inner) in [("Mixed_6b", 128), ("Mixed_6c", 160), ("Mixed_6d", 160), ("Mixed_6e", 192)] {
            self.block = name;
            blocks.push(self.wide(inner)?);
        }
        self.block = "Mixed_7a";
        blocks.push(Block(vec![
            self.branch(&[("branch3x3_1", 768, 192, Same(1, 1)), ("branch3x3_2", 192, 320, Halve)])?,
            self.branch(&[
                ("branch7x7x3_1", 768, 192, Same(1, 1)),
                ("branch7x7x3_2", 192, 192, Same(1, 7)),
                ("branch7x7x3_3", 192, 192, Same(7, 1)),
                ("branch7x7x3_4", 192, 192, Halve),
            ])?,
            Branch { pool: Some(Pool::Halve), ..Branch::default() },
        ]));
        // The last pool takes the largest: in FID's network alone.
        for (name, inputs, pool) in [("Mixed_7b", 1280, Pool::Mean), ("Mixed_7c", 2048, Pool::Largest)] {
            self.block = name;
            blocks.push(self.last(inputs, pool)?);
        }
        Ok(blocks)
    }

    /// A block with windows of 7 pixels in one direction.
    fn wide(&mut self, inner: usize) -> Result<Block> {
        use Window::Same;
        Ok(Block(vec![
            self.branch(&[("branch1x1", 768, 192, Same(1, 1))])?,
            self.branch(&[
                ("branch7x7_1", 768, inner, Same(1, 1)),
                ("branch7x7_2", inner, inner, Same(1, 7)),
                ("branch7x7_3", inner, 192, Same(7, 1)),
            ])?,
            self.branch(&[
                ("branch7x7dbl_1", 768, inner, Same(1, 1)),
                ("branch7x7dbl_2", inner, inner, Same(7, 1)),
                ("branch7x7dbl_3", inner, inner, Same(1, 7)),
                ("branch7x7dbl_4", inner, inner, Same(7, 1)),
                ("branch7x7dbl_5", inner, 192, Same(1, 7)),
            ])?,
            self.pooled(Pool::Mean, 768, 192)?,
        ]))
    }

    /// A block of the last two.
    fn last(&mut self, inputs: usize, pool: Pool) -> Result<Block> {
        use Window::Same;
        let mut single = self.branch(&[("branch3x3_1", inputs, 384, Same(1, 1))])?;
        single.beside =
            self.chain(&[("branch3x3_2a", 384, 384, Same(1, 3)), ("branch3x3_2b", 384, 384, Same(3, 1))])?;
        let mut double =
            self.branch(&[("branch3x3dbl_1", inputs, 448, Same(1, 1)), ("branch3x3dbl_2", 448, 384, Same(3, 3))])?;
        double.beside =
            self.chain(&[("branch3x3dbl_3a", 384, 384, Same(1, 3)), ("branch3x3dbl_3b", 384, 384, Same(3, 1))])?;
        Ok(Block(vec![
            self.branch(&[("branch1x1", inputs, 320, Same(1, 1))])?,
            single,
            double,
            self.pooled(pool, inputs, 192)?,
        ]))
    }

    fn single(&mut self, name: &'static str, inputs: usize, outputs: usize, window: Window) -> Result<Block> {
        let conv = self.conv(name, inputs, outputs, window)?;
        Ok(Block(vec![Branch { chain: vec![conv], ..Branch::default() }]))
    }

    fn branch(&mut self, convs: &[(&str, usize, usize, Window)]) -> Result<Branch> {
        Ok(Branch { chain: self.chain(convs)?, ..Branch::default() })
    }

    fn pooled(&mut self, pool: Pool, inputs: usize, outputs: usize) -> Result<Branch> {
        let chain = self.chain(&[("branch_pool", inputs, outputs, Window::Same(1, 1))])?;
        Ok(Branch { pool: Some(pool), chain, ..Branch::default() })
    }

    fn chain(&mut self, convs: &[(&str, usize, usize, Window)]) -> Result<Vec<Conv>> {
        let block = self.block;
        let conv = |&(name, inputs, outputs, window): &(&str, usize, usize, Window)| {
            self.conv(&format!("{block}.{name}"), inputs, outputs, window)
        };
        convs.iter().map(conv).collect()
    }

    /// A convolution and its batch norm as one.
    fn conv(&mut self, name: &str, inputs: usize, outputs: usize, window: Window) -> Result<Conv> {
        let (rows, columns) = window.size();
        let shape = [outputs, inputs, rows, columns];
        let mut read =
            |part: &str, shape: &[usize]| read(self.checkpoint, &format!("{name}.{part}"), shape, &mut self.digest);
        let mut weight = read("conv.weight", &shape)?;
        let (gain, shift) = (read("bn.weight", &[outputs])?, read("bn.bias", &[outputs])?);
        let (mean, variance) = (read("bn.running_mean", &[outputs])?, read("bn.running_var", &[outputs])?);
        let mut bias = Vec::with_capacity(outputs);
        for (channel, weights) in weight.chunks_mut(inputs * rows * columns).enumerate() {
            let scale = f64::from(gain[channel]) / (f64::from(variance[channel]) + EPSILON).sqrt();
            weights.iter_mut().for_each(|weight| *weight = (f64::from(*weight) * scale) as f32);
            bias.push((f64::from(shift[channel]) - f64::from(mean[channel]) * scale) as f32);
        }
        let tensors = Tensor::from_vec(weight, &shape, &Device::Cpu)
            .and_then(|weight| Ok((weight, Tensor::from_vec(bias, (1, outputs, 1, 1), &Device::Cpu)?)));
        let (weight, bias) = tensors.map_err(|e| broken(WHAT, &e))?;
        let stride = if matches!(window, Window::Halve) { 2 } else { 1 };
        let around = if matches!(window, Window::Same(..)) { [rows / 2, columns / 2] } else { [0, 0] };
        Ok(Conv { weight, bias, stride, around })
    }
}

/// A block that is a pool alone.
fn halve() -> Block {
    Block(vec![Branch { pool: Some(Pool::Halve), ..Branch::default() }])
}

impl Window {
    fn size(self) -> (usize, usize) {
        match self {
            Self::Same(rows, columns) => (rows, columns),
            Self::Inside(side) => (side, side),
            Self::Halve => (3, 3),
        }
    }
}

impl Block {
    fn run(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let branches: Vec<Tensor> = self.0.iter().map(|branch| branch.run(x)).collect::<candle_core::Result<_>>()?;
        Tensor::cat(&branches, 1)
    }
}

impl Branch {
    fn run(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let mut x = self.pool.map_or_else(|| Ok(x.clone()), |pool| pool.run(x))?;
        for conv in &self.chain {
            x = conv.run(&x)?;
        }
        if self.beside.is_empty() {
            return Ok(x);
        }
        let beside: Vec<Tensor> = self.beside.iter().map(|conv| conv.run(&x)).collect::<candle_core::Result<_>>()?;
        Tensor::cat(&beside, 1)
    }
}

impl Pool {
    fn run(self, x: &Tensor) -> candle_core::Result<Tensor> {
        match self {
            Self::Halve => x.max_pool2d_with_stride(3, 2),
            // What comes out of a ReLU is at least 0, so that zeros around it change no largest value.
            Self::Largest => padded(x, [1, 1])?.max_pool2d_with_stride(3, 1),
            Self::Mean => {
                let (_, _, height, width) = x.dims4()?;
                let inside = Tensor::ones((1, 1, height, width), x.dtype(), x.device())?;
                let share = padded(&inside, [1, 1])?.avg_pool2d_with_stride(3, 1)?;
                padded(x, [1, 1])?.avg_pool2d_with_stride(3, 1)?.broadcast_div(&share)
            }
        }
    }
}

impl Conv {
    fn run(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let x = padded(x, self.around)?.conv2d(&self.weight, 0, self.stride, 1, 1)?;
        x.broadcast_add(&self.bias)?.relu()
    }
}

fn padded(x: &Tensor, [rows, columns]: [usize; 2]) -> candle_core::Result<Tensor> {
    let x = if rows > 0 { x.pad_with_zeros(2, rows, rows)? } else { x.clone() };
    if columns > 0 { x.pad_with_zeros(3, columns, columns) } else { Ok(x) }
}
